import com.google.common.net.HostAndPort;
import com.orbitz.consul.AgentClient;
import com.orbitz.consul.CatalogClient;
import com.orbitz.consul.Consul;
import com.orbitz.consul.ConsulException;
import com.orbitz.consul.HealthClient;
import com.orbitz.consul.NotRegisteredException;
import com.orbitz.consul.cache.ServiceHealthCache;
import com.orbitz.consul.model.ConsulResponse;
import com.orbitz.consul.model.State;
import com.orbitz.consul.model.agent.ImmutableRegistration;
import com.orbitz.consul.model.agent.Registration.RegCheck;
import com.orbitz.consul.model.catalog.ImmutableCatalogDeregistration;
import com.orbitz.consul.model.catalog.ImmutableCatalogRegistration;
import com.orbitz.consul.model.catalog.ImmutableServiceWeights;
import com.orbitz.consul.model.health.HealthCheck;
import com.orbitz.consul.model.health.ImmutableService;
import com.orbitz.consul.model.health.ServiceHealth;
import com.orbitz.consul.option.ConsistencyMode;
import com.orbitz.consul.option.ImmutableEventOptions;
import com.orbitz.consul.option.ImmutableQueryOptions;
import com.orbitz.consul.option.QueryOptions;
import java.net.URI;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** Stories of discovery told through com.orbitz.consul:consul-client. */
final class Orbitz {
    private final URI server;
    private final AgentClient agent;
    private final HealthClient health;
    private final CatalogClient catalog;
    private final Consul client;

    private Orbitz(String url) {
        server = URI.create(url);
        client = Consul.builder().withHostAndPort(HostAndPort.fromParts(server.getHost(), server.getPort())).build();
        agent = client.agentClient();
        health = client.healthClient();
        catalog = client.catalogClient();
    }

    public static void main(String[] arguments) {
        Stories stories = new Stories();
        Orbitz told = new Orbitz(arguments[0]);
        stories.add("an empty server shows itself", told::empty);
        stories.add("a service is registered and found", told::registered);
        stories.add("every kind of check it has a word for", told::checks);
        stories.add("a TTL check is pushed", told::pushed);
        stories.add("filters and nearness are sent along", told::filtered);
        stories.add("a blocking query ends with the change", told::blocked);
        stories.add("a cache follows a service", told::cached);
        stories.add("maintenance of a service", told::maintained);
        stories.add("the catalog is written directly", told::written);
        stories.add("events are fired and listed", told::fired);
        stories.add("the servers, and another data center", told::operated);
        stories.add("everything is deregistered", told::deregistered);
        stories.tell();
        told.client.destroy();
        System.exit(0);
    }

    private List<String> statuses(String service) {
        return health.getServiceChecks(service).getResponse().stream().map(HealthCheck::getStatus).sorted().toList();
    }

    private static List<String> ids(ConsulResponse<List<ServiceHealth>> found) {
        return found.getResponse().stream().map(entry -> entry.getService().getId()).sorted().toList();
    }

    private static QueryOptions filter(String filter) {
        return ImmutableQueryOptions.builder().filter(filter).build();
    }

    private void empty() {
        agent.ping();
        Stories.same(agent.getServices(), Map.of());
        Stories.same(catalog.getServices().getResponse(), Map.of("consul", List.of()));
        Stories.same(catalog.getDatacenters(), List.of("dc1"));
        Stories.same(client.statusClient().getPeers().contains(client.statusClient().getLeader()), true);
        Stories.same(agent.getAgent().getConfig().getDatacenter(), "dc1");
        Stories.same(agent.getMembers().size(), 1);
        Stories.same(health.getChecksByState(State.ANY).getResponse().get(0).getCheckId(), "serfHealth");
    }

    private void registered() throws Exception {
        agent.register(ImmutableRegistration.builder().id("web1").name("web").address("10.0.0.5").port(80).addTags("v1", "blue").putMeta("env", "prod")
                .enableTagOverride(true).serviceWeights(ImmutableServiceWeights.builder().passing(7).warning(2).build()).build());
        var shown = agent.getService("web1", QueryOptions.BLANK).getResponse();
        Stories.same(List.of(shown.getService(), shown.getAddress(), shown.getPort(), shown.getTags()), List.of("web", "10.0.0.5", 80, List.of("v1", "blue")));
        Stories.same(List.of(shown.getMeta().get("env"), shown.getWeights().orElseThrow().getPassing(), shown.getEnableTagOverride().orElseThrow()), List.of("prod", 7, true));
        Stories.same(agent.isRegistered("web1"), true);
        Stories.same(ids(health.getHealthyServiceInstances("web", ImmutableQueryOptions.builder().addTag("blue").build())), List.of("web1"));
        Stories.same(ids(health.getHealthyServiceInstances("web", ImmutableQueryOptions.builder().addTag("green").build())), List.of());
        Stories.same(catalog.getService("web").getResponse().get(0).getServiceAddress(), "10.0.0.5");
        Stories.refused(NotRegisteredException.class, () -> agent.getService("nobody", QueryOptions.BLANK));
    }

    private void checks() throws Exception {
        String page = server + "/v1/status/leader";
        agent.register(ImmutableRegistration.builder().id("checked").name("checked").addChecks(
                RegCheck.http(page, 1, 5), RegCheck.tcp(server.getAuthority(), 1), RegCheck.args(List.of("true"), 1), RegCheck.ttl(600)).build());
        agent.passCheck("service:checked:4", "fine");
        Stories.until(() -> statuses("checked").equals(List.of("passing", "passing", "passing", "passing")));
    }

    private void pushed() throws Exception {
        agent.registerCheck("beat", "heart", 600, "by hand");
        agent.passCheck("beat", "now passing");
        Stories.same(agent.getChecks().get("beat").getOutput().orElse(""), "now passing");
        agent.warnCheck("beat");
        Stories.same(agent.getChecks().get("beat").getStatus(), "warning");
        agent.failCheck("beat", "gone");
        Stories.same(ids(health.getHealthyServiceInstances("web")), List.of());
        agent.deregisterCheck("beat");
        Stories.same(ids(health.getHealthyServiceInstances("web")), List.of("web1"));
        Stories.refused(NotRegisteredException.class, () -> agent.passCheck("beat"));
    }

    private void filtered() throws Exception {
        agent.register(81, List.of(), "web", "web2", List.of(), Map.of());
        Stories.same(ids(health.getAllServiceInstances("web", filter("Service.Meta.env == prod"))), List.of("web1"));
        Stories.same(agent.getServices(filter("Port == 81")).keySet(), Set.of("web2"));
        Stories.same(ids(health.getAllServiceInstances("web", ImmutableQueryOptions.builder().near("_agent").build())), List.of("web1", "web2"));
        Stories.same(Stories.refused(ConsulException.class, () -> health.getAllServiceInstances("web", filter("Nope == 1"))).getCode(), 500);
    }

    private void blocked() throws Exception {
        var index = health.getAllServiceInstances("later").getIndex();
        Thread change = new Thread(() -> agent.register(4, List.of(), "later", "later1", List.of(), Map.of()));
        var scheduled = new Thread(() -> {
            try {
                Thread.sleep(300);
            } catch (InterruptedException error) {
                throw new IllegalStateException(error);
            }
            change.start();
        });
        scheduled.start();
        var after = health.getAllServiceInstances("later", QueryOptions.blockSeconds(8, index).build());
        Stories.same(ids(after), List.of("later1"));
        Stories.same(after.getIndex().compareTo(index) > 0, true);
    }

    private void cached() throws Exception {
        try (ServiceHealthCache cache = ServiceHealthCache.newCache(health, "followed", true, 8, QueryOptions.BLANK)) {
            cache.start();
            Stories.same(cache.awaitInitialized(20, TimeUnit.SECONDS), true);
            agent.register(5, List.of(), "followed", "followed1", List.of(), Map.of());
            Stories.until(() -> cache.getMap().size() == 1);
            agent.deregister("followed1");
            Stories.until(() -> cache.getMap().isEmpty());
        }
    }

    private void maintained() {
        agent.toggleMaintenanceMode("web1", true, "upgrade");
        Stories.same(ids(health.getHealthyServiceInstances("web")), List.of("web2"));
        agent.toggleMaintenanceMode("web1", false);
        Stories.same(ids(health.getHealthyServiceInstances("web")), List.of("web1", "web2"));
    }

    private void written() {
        var service = ImmutableService.builder().id("db1").service("db").address("10.9.8.7").port(5432).tags(List.of()).meta(Map.of())
                .weights(ImmutableServiceWeights.builder().passing(1).warning(1).build()).enableTagOverride(false).build();
        catalog.register(ImmutableCatalogRegistration.builder().node("far").address("10.9.8.7").service(service).putNodeMeta("rack", "r1").build());
        var asked = ImmutableQueryOptions.builder().addNodeMeta("rack:r1").build();
        Stories.same(catalog.getNodes(asked).getResponse().get(0).getAddress(), "10.9.8.7");
        Stories.same(catalog.getNode("far").getResponse().getServices().keySet(), Set.of("db1"));
        catalog.deregister(ImmutableCatalogDeregistration.builder().node("far").serviceId("db1").build());
        catalog.deregister(ImmutableCatalogDeregistration.builder().node("far").build());
        Stories.same(health.getNodeChecks("far").getResponse(), List.of());
    }

    private void fired() throws Exception {
        var fired = client.eventClient().fireEvent("deploy", ImmutableEventOptions.builder().serviceFilter("web").build(), "v2");
        Stories.until(() -> client.eventClient().listEvents("deploy").getEvents().stream().anyMatch(event -> event.getId().equals(fired.getId())));
        Stories.same(client.eventClient().listEvents("deploy").getEvents().get(0).getPayload().orElse(""), "v2");
    }

    private void operated() throws Exception {
        Stories.same(client.operatorClient().getRaftConfiguration().servers().get(0).leader(), true);
        Stories.same(client.coordinateClient().getDatacenters().get(0).getDatacenter(), "dc1");
        client.coordinateClient().getNodes();
        for (ConsistencyMode mode : List.of(ConsistencyMode.DEFAULT, ConsistencyMode.STALE, ConsistencyMode.CONSISTENT)) {
            Stories.same(catalog.getNodes(ImmutableQueryOptions.builder().consistencyMode(mode).build()).isKnownLeader(), true);
        }
        QueryOptions elsewhere = ImmutableQueryOptions.builder().datacenter("dc9").build();
        Stories.same(Stories.refused(ConsulException.class, () -> catalog.getNodes(elsewhere)).getCode(), 500);
        Stories.same(agent.join(agent.getMembers().get(0).getAddress()), true);
    }

    private void deregistered() {
        agent.getServices().keySet().stream().sorted(Comparator.naturalOrder()).forEach(agent::deregister);
        Stories.same(catalog.getServices().getResponse(), Map.of("consul", List.of()));
    }
}
