import com.ecwid.consul.v1.ConsistencyMode;
import com.ecwid.consul.v1.ConsulClient;
import com.ecwid.consul.v1.OperationException;
import com.ecwid.consul.v1.QueryParams;
import com.ecwid.consul.v1.Response;
import com.ecwid.consul.v1.agent.model.NewCheck;
import com.ecwid.consul.v1.agent.model.NewService;
import com.ecwid.consul.v1.catalog.CatalogNodesRequest;
import com.ecwid.consul.v1.catalog.CatalogServiceRequest;
import com.ecwid.consul.v1.catalog.CatalogServicesRequest;
import com.ecwid.consul.v1.catalog.model.CatalogDeregistration;
import com.ecwid.consul.v1.catalog.model.CatalogRegistration;
import com.ecwid.consul.v1.event.model.EventParams;
import com.ecwid.consul.v1.health.HealthChecksForServiceRequest;
import com.ecwid.consul.v1.health.HealthServicesRequest;
import com.ecwid.consul.v1.health.model.Check;
import com.ecwid.consul.v1.health.model.HealthService;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Stories of discovery told through com.ecwid.consul:consul-api, with the calls that Spring Cloud Consul makes. */
final class Spring {
    private final URI server;
    private final ConsulClient client;

    private Spring(String url) {
        server = URI.create(url);
        client = new ConsulClient(server.getHost(), server.getPort());
    }

    public static void main(String[] arguments) {
        Stories stories = new Stories();
        Spring told = new Spring(arguments[0]);
        stories.add("an empty server shows itself", told::empty);
        stories.add("an application signs in with a check of its page", told::signedIn);
        stories.add("an application signs in with a heartbeat", told::beating);
        stories.add("every kind of check it has a word for", told::checks);
        stories.add("the names are watched as a catalog watch does", told::watched);
        stories.add("maintenance of a service and of the node", told::maintained);
        stories.add("the catalog is written directly", told::written);
        stories.add("events are fired and listed", told::fired);
        stories.add("what is refused is told", told::refused);
        stories.add("everything is deregistered", told::deregistered);
        stories.tell();
        System.exit(0);
    }

    private List<String> ids(String service, boolean passing) {
        HealthServicesRequest asked = HealthServicesRequest.newBuilder().setPassing(passing).setQueryParams(QueryParams.DEFAULT).build();
        return client.getHealthServices(service, asked).getValue().stream().map(entry -> entry.getService().getId()).sorted().toList();
    }

    private List<Check.CheckStatus> statuses(String service) {
        return client.getHealthChecksForService(service, HealthChecksForServiceRequest.newBuilder().build()).getValue().stream().map(Check::getStatus).toList();
    }

    private void empty() {
        Stories.same(client.getAgentServices().getValue(), Map.of());
        Stories.same(client.getCatalogServices(QueryParams.DEFAULT).getValue(), Map.of("consul", List.of()));
        Stories.same(client.getCatalogDatacenters().getValue(), List.of("dc1"));
        Stories.same(client.getStatusPeers().getValue().contains(client.getStatusLeader().getValue()), true);
        Stories.same(client.getAgentSelf().getValue().getConfig().getDatacenter(), "dc1");
        Stories.same(client.getAgentMembers().getValue().size(), 1);
    }

    private void signedIn() throws Exception {
        NewService service = new NewService();
        service.setId("app-8080");
        service.setName("app");
        service.setAddress("10.0.0.5");
        service.setPort(8080);
        service.setTags(List.of("secure=false"));
        service.setMeta(Map.of("version", "1.2"));
        NewService.Check check = new NewService.Check();
        check.setHttp(server + "/v1/status/leader");
        check.setHeader(Map.of("X-Config-Token", List.of("t")));
        check.setInterval("1s");
        check.setDeregisterCriticalServiceAfter("90m");
        service.setCheck(check);
        client.agentServiceRegister(service);
        Stories.until(() -> ids("app", true).equals(List.of("app-8080")));
        HealthService found = client.getHealthServices("app", HealthServicesRequest.newBuilder().setTag("secure=false").build()).getValue().get(0);
        Stories.same(List.of(found.getService().getAddress(), found.getService().getPort(), found.getService().getMeta()), List.of("10.0.0.5", 8080, Map.of("version", "1.2")));
        Stories.same(found.getChecks().size(), 2);
    }

    private void beating() {
        NewService service = new NewService();
        service.setId("beats");
        service.setName("beats");
        NewService.Check check = new NewService.Check();
        check.setTtl("30s");
        service.setCheck(check);
        client.agentServiceRegister(service);
        Stories.same(statuses("beats"), List.of(Check.CheckStatus.CRITICAL));
        client.agentCheckPass("service:beats");
        Stories.same(statuses("beats"), List.of(Check.CheckStatus.PASSING));
        client.agentCheckWarn("service:beats", "tired");
        Stories.same(client.getAgentChecks().getValue().get("service:beats").getOutput(), "tired");
        client.agentCheckFail("service:beats");
        Stories.same(ids("beats", true), List.of());
    }

    private void checks() throws Exception {
        for (String kind : List.of("http", "tcp", "args", "ttl", "grpc")) {
            NewCheck check = new NewCheck();
            check.setId("kind-" + kind);
            check.setName(kind);
            check.setServiceId("beats");
            check.setNotes("by hand");
            check.setStatus("passing");
            switch (kind) {
                case "http" -> check.setHttp(server + "/v1/status/leader");
                case "tcp" -> check.setTcp(server.getAuthority());
                case "args" -> check.setArgs(List.of("true"));
                case "grpc" -> check.setGrpc("127.0.0.1:1"); // nobody is there
                default -> check.setTtl("10m");
            }
            if (!kind.equals("ttl")) {
                check.setInterval("1s");
            }
            client.agentCheckRegister(check);
        }
        Stories.until(() -> statuses("beats").stream().filter(Check.CheckStatus.PASSING::equals).count() == 4);
        for (String kind : List.of("http", "tcp", "args", "ttl", "grpc")) {
            client.agentCheckDeregister("kind-" + kind);
        }
        Stories.same(statuses("beats").size(), 1);
    }

    private void watched() throws Exception {
        long index = client.getCatalogServices(QueryParams.DEFAULT).getConsulIndex();
        Thread change = new Thread(() -> {
            try {
                Thread.sleep(300);
            } catch (InterruptedException error) {
                throw new IllegalStateException(error);
            }
            NewService service = new NewService();
            service.setName("later");
            client.agentServiceRegister(service);
        });
        change.start();
        CatalogServicesRequest asked = CatalogServicesRequest.newBuilder().setQueryParams(new QueryParams(55, index)).build();
        Response<Map<String, List<String>>> told = client.getCatalogServices(asked);
        change.join();
        Stories.same(told.getValue().containsKey("later"), true);
        Stories.same(List.of(told.getConsulIndex() > index, told.isConsulKnownLeader(), told.getConsulLastContact()), List.of(true, true, 0L));
    }

    private void maintained() {
        client.agentServiceSetMaintenance("app-8080", true, "upgrade");
        Stories.same(ids("app", true), List.of());
        client.agentServiceSetMaintenance("app-8080", false);
        client.agentSetMaintenance(true, "reboot");
        Stories.same(ids("app", true), List.of());
        client.agentSetMaintenance(false);
        Stories.same(ids("app", true), List.of("app-8080"));
    }

    private void written() {
        CatalogRegistration far = new CatalogRegistration();
        far.setNode("far");
        far.setAddress("10.9.8.7");
        far.setNodeMeta(Map.of("rack", "r1"));
        CatalogRegistration.Service service = new CatalogRegistration.Service();
        service.setId("db1");
        service.setService("db");
        service.setPort(5432);
        far.setService(service);
        client.catalogRegister(far);
        Stories.same(client.getCatalogNodes(CatalogNodesRequest.newBuilder().setNodeMeta(Map.of("rack", "r1")).build()).getValue().get(0).getAddress(), "10.9.8.7");
        Stories.same(client.getCatalogService("db", CatalogServiceRequest.newBuilder().build()).getValue().get(0).getServicePort(), 5432);
        Stories.same(client.getCatalogNode("far", QueryParams.DEFAULT).getValue().getServices().keySet(), Set.of("db1"));
        Stories.same(client.getHealthChecksForNode("far", QueryParams.DEFAULT).getValue(), List.of());
        CatalogDeregistration gone = new CatalogDeregistration();
        gone.setNode("far");
        client.catalogDeregister(gone);
        Stories.same(client.getCatalogService("db", CatalogServiceRequest.newBuilder().build()).getValue(), List.of());
    }

    private void fired() throws Exception {
        EventParams filters = new EventParams();
        filters.setService("app");
        String id = client.eventFire("deploy", "v2", filters, QueryParams.DEFAULT).getValue().getId();
        Stories.until(() -> client.eventList("deploy", QueryParams.DEFAULT).getValue().stream().anyMatch(event -> event.getId().equals(id)));
    }

    private void refused() throws Exception {
        Stories.same(Stories.refused(OperationException.class, () -> client.agentCheckPass("nobody")).getStatusCode(), 404);
        Stories.same(Stories.refused(OperationException.class, () -> client.getCatalogNodes(new QueryParams("dc9"))).getStatusContent(), "No path to datacenter");
        for (ConsistencyMode mode : ConsistencyMode.values()) {
            Stories.same(client.getCatalogNodes(new QueryParams(mode)).getValue().size(), 1);
        }
        Stories.same(client.getDatacenters().getValue().get(0).getDatacenter(), "dc1");
        client.getNodes(QueryParams.DEFAULT);
        client.agentReload();
    }

    private void deregistered() {
        new ArrayList<>(client.getAgentServices().getValue().keySet()).forEach(client::agentServiceDeregister);
        Stories.same(client.getCatalogServices(QueryParams.DEFAULT).getValue(), Map.of("consul", List.of()));
    }
}
