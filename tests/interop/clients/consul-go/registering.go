package main

import (
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
)

var registering = []story{
	{"an empty server shows itself", func(client *api.Client) {
		agent := client.Agent()
		same(keys(got(agent.Services())), []string{})
		same(keys(got(agent.Checks())), []string{})
		same(read(client.Catalog().Services(nil)), map[string][]string{"consul": {}})
		checks := read(client.Health().State("any", nil))
		same([]string{checks[0].CheckID, checks[0].Node}, []string{"serfHealth", nodeName(client)})
		leader := got(client.Status().Leader())
		hold(slices.Contains(got(client.Status().Peers()), leader), "the leader is no peer: ", leader)
		same(got(agent.Self())["Config"]["Datacenter"], any("dc1"))
		same(got(client.Catalog().Datacenters()), []string{"dc1"})
		hold(got(agent.Version())["HumanVersion"] != nil, "no version")
		hold(got(agent.Host())["Memory"] != nil, "no host")
	}},
	{"a definition is kept whole", func(client *api.Client) {
		must(client.Agent().ServiceRegister(&api.AgentServiceRegistration{
			ID: "web1", Name: "web", Tags: []string{"v1", "blue"}, Address: "10.0.0.5", Port: 80, Meta: map[string]string{"env": "prod"},
			TaggedAddresses:   map[string]api.ServiceAddress{"lan": {Address: "10.0.0.5", Port: 80}, "wan": {Address: "198.51.100.5", Port: 8080}},
			EnableTagOverride: true, Weights: &api.AgentWeights{Passing: 7, Warning: 2}, Locality: &api.Locality{Region: "eu", Zone: "eu-1"},
		}))
		shown, meta, err := client.Agent().Service("web1", nil)
		must(err)
		same([]any{shown.Service, shown.Tags, shown.Address, shown.Port, shown.Meta["env"]}, []any{"web", []string{"v1", "blue"}, "10.0.0.5", 80, "prod"})
		same(shown.TaggedAddresses["wan"], api.ServiceAddress{Address: "198.51.100.5", Port: 8080})
		same([]any{shown.EnableTagOverride, shown.Weights, *shown.Locality}, []any{true, api.AgentWeights{Passing: 7, Warning: 2}, api.Locality{Region: "eu", Zone: "eu-1"}})
		same(shown.Datacenter, "dc1")
		hold(shown.ContentHash != "" && shown.ContentHash == meta.LastContentHash, "hashes differ")
	}},
	{"every kind of check", func(client *api.Client) {
		at := listen()
		must(client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "checked", Port: 1, Checks: api.AgentServiceChecks{
			{Name: "http", HTTP: at.http, Method: "POST", Header: map[string][]string{"X-Story": {"yes"}}, Body: "?", Interval: "1s", Timeout: "5s"},
			{Name: "tcp", TCP: at.h2, Interval: "1s"},
			{Name: "udp", UDP: at.udp, Interval: "1s", Timeout: "5s"},
			{Name: "grpc", GRPC: at.h2, Interval: "1s"},
			{Name: "h2ping", H2PING: at.h2, Interval: "1s"}, // without H2PingUseTLS, which this client leaves out when it is false
			{Name: "script", Args: []string{"sh", "-c", "echo warned; exit 1"}, Interval: "1s"},
			{Name: "ttl", TTL: "10m", Status: "passing", DeregisterCriticalServiceAfter: "90m"},
			{Name: "alias", AliasService: "web1"},
		}}))
		found := map[string]*api.HealthCheck{}
		until(func() bool {
			settled := 0
			for _, check := range read(client.Health().Checks("checked", nil)) {
				found[check.Name] = check
				// TLS is what h2ping asks for when nothing is said, and this target has none.
				if check.Status == map[string]string{"script": "warning", "h2ping": "critical"}[check.Name] || (check.Status == "passing" && check.Name != "h2ping") {
					settled++
				}
			}
			return settled == 8
		})
		for name, check := range found {
			same(check.Type, name)
		}
		until(func() bool {
			for _, check := range got(client.Agent().ChecksWithFilter(`Name == "script"`)) {
				return strings.Contains(check.Output, "warned")
			}
			return false
		})
	}},
	{"thresholds hold a turn back", func(client *api.Client) {
		must(client.Agent().CheckRegister(&api.AgentCheckRegistration{ID: "slow", Name: "slow to fall", ServiceID: "checked", AgentServiceCheck: api.AgentServiceCheck{
			Args: []string{"sh", "-c", "exit 2"}, Interval: "1s", Status: "passing", FailuresBeforeCritical: 1, SuccessBeforePassing: 1,
		}}))
		same(got(client.Agent().Checks())["slow"].Status, "passing")
		until(func() bool { return got(client.Agent().Checks())["slow"].Status == "critical" })
		must(client.Agent().CheckDeregister("slow"))
	}},
	{"a TTL check is pushed", func(client *api.Client) {
		agent := client.Agent()
		must(agent.CheckRegister(&api.AgentCheckRegistration{ID: "beat", Name: "heart", ServiceID: "web1", Notes: "by hand", AgentServiceCheck: api.AgentServiceCheck{TTL: "10m"}}))
		same(got(agent.Checks())["beat"].Status, "critical")
		for status, push := range map[string]func(string, string) error{"passing": agent.PassTTL, "warning": agent.WarnTTL, "critical": agent.FailTTL} {
			must(push("beat", "now "+status))
			check := got(agent.Checks())["beat"]
			same([]string{check.Status, check.Output, check.Notes, check.ServiceName}, []string{status, "now " + status, "by hand", "web"})
		}
		must(agent.UpdateTTL("beat", strings.Repeat("x", 10_000), api.HealthPassing))
		hold(strings.HasSuffix(got(agent.Checks())["beat"].Output, "(captured 4096 of 10000 bytes)"), got(agent.Checks())["beat"].Output)
		code, text := refused(agent.UpdateTTL("nobody", "", "pass"))
		same([]any{code, text}, []any{404, `Unknown check ID "nobody". Ensure that the check ID is passed, not the check name.`})
	}},
	{"health of one service, and of all of a name", func(client *api.Client) {
		agent := client.Agent()
		for push, expected := range map[string]string{"pass": "passing", "warn": "warning", "fail": "critical"} {
			must(agent.UpdateTTL("beat", push, push))
			status, info, err := agent.AgentHealthServiceByID("web1")
			must(err)
			same([]any{status, info.AggregatedStatus, info.Service.ID, len(info.Checks)}, []any{expected, expected, "web1", 1})
			status, infos, err := agent.AgentHealthServiceByName("web")
			must(err)
			same([]any{status, len(infos)}, []any{expected, 1})
		}
		must(agent.PassTTL("beat", ""))
		status, info, err := agent.AgentHealthServiceByID("nobody")
		same([]any{status, info == nil, err}, []any{"critical", true, nil})
	}},
	{"a registration replaces the one before", func(client *api.Client) {
		register := func(replace bool, ttls ...string) []string {
			checks := api.AgentServiceChecks{}
			for _, ttl := range ttls {
				checks = append(checks, &api.AgentServiceCheck{CheckID: "ttl-" + ttl, TTL: ttl})
			}
			service := &api.AgentServiceRegistration{Name: "again", Checks: checks}
			must(client.Agent().ServiceRegisterOpts(service, api.ServiceRegisterOpts{ReplaceExistingChecks: replace}))
			found := []string{}
			for _, check := range read(client.Health().Checks("again", nil)) {
				found = append(found, check.CheckID+" "+check.Status)
			}
			slices.Sort(found)
			return found
		}
		same(register(false, "10m"), []string{"ttl-10m critical"})
		must(client.Agent().PassTTL("ttl-10m", ""))
		same(register(false, "10m", "20m"), []string{"ttl-10m passing", "ttl-20m critical"})
		same(register(false, "30m"), []string{"ttl-10m passing", "ttl-20m critical", "ttl-30m critical"})
		same(register(true, "10m"), []string{"ttl-10m passing"})
	}},
	{"ports with names", func(client *api.Client) {
		ports := api.ServicePorts{{Name: "http", Port: 8080, Default: true}, {Name: "admin", Port: 9090}}
		must(client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "ported", Ports: ports}))
		same(got(client.Agent().Services())["ported"].Ports, ports)
		same(read(client.Health().Service("ported", "", false, nil))[0].Service.Ports, ports)
	}},
	{"a sidecar comes and goes with its service", func(client *api.Client) {
		sidecar := &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{}}
		must(client.Agent().ServiceRegister(&api.AgentServiceRegistration{ID: "mesh1", Name: "mesh", Port: 10, Connect: sidecar}))
		proxy := got(client.Agent().Services())["mesh1-sidecar-proxy"]
		same([]any{proxy.Kind, proxy.Proxy.DestinationServiceName, proxy.Proxy.LocalServicePort}, []any{api.ServiceKindConnectProxy, "mesh", 10})
		same(ids(read(client.Health().Connect("mesh", "", false, nil))), []string{"mesh1-sidecar-proxy"})
		same(read(client.Catalog().Connect("mesh", "", nil))[0].ServiceID, "mesh1-sidecar-proxy")
		must(client.Agent().ServiceDeregister("mesh1"))
		hold(got(client.Agent().Services())["mesh1-sidecar-proxy"] == nil, "the sidecar stayed")
	}},
	{"maintenance of a service and of the node", func(client *api.Client) {
		agent := client.Agent()
		there := func() []string { return ids(read(client.Health().Service("web", "", true, nil))) }
		same(there(), []string{"web1"})
		must(agent.EnableServiceMaintenance("web1", "upgrade"))
		same(there(), []string{})
		same(got(agent.Checks())["_service_maintenance:web1"].Notes, "upgrade")
		must(agent.DisableServiceMaintenance("web1"))
		must(agent.EnableNodeMaintenance("reboot"))
		same(there(), []string{})
		must(agent.DisableNodeMaintenance())
		same(there(), []string{"web1"})
	}},
	{"what is wrong is said as Consul says it", func(client *api.Client) {
		agent := client.Agent()
		for _, wrong := range []struct {
			err  error
			code int
			text string
		}{
			{agent.ServiceRegister(&api.AgentServiceRegistration{}), 400, "Missing service name"},
			{agent.ServiceRegister(&api.AgentServiceRegistration{Name: "x", Address: "0.0.0.0"}), 400, "Invalid service address"},
			{agent.ServiceRegister(&api.AgentServiceRegistration{Name: "x", Check: &api.AgentServiceCheck{HTTP: "http://x"}}), 400, "Interval must be > 0"},
			{agent.ServiceRegister(&api.AgentServiceRegistration{Name: "x", Meta: map[string]string{"a b": ""}}), 400, "Key contains invalid characters"},
			{agent.ServiceDeregister("nobody"), 404, "Unknown service ID"},
			{agent.CheckDeregister("nobody"), 404, "Unknown check ID"},
			{agent.CheckRegister(&api.AgentCheckRegistration{Name: "x", ServiceID: "nobody", AgentServiceCheck: api.AgentServiceCheck{TTL: "1s"}}), 404, "does not exist"},
			{agent.CheckRegister(&api.AgentCheckRegistration{AgentServiceCheck: api.AgentServiceCheck{TTL: "1s"}}), 400, "Missing check name"},
			{agent.EnableServiceMaintenance("nobody", ""), 404, "Unknown service ID"},
		} {
			code, text := refused(wrong.err)
			hold(code == wrong.code && strings.Contains(text, wrong.text), code, " ", text, ", not ", wrong.code, " ", wrong.text)
		}
	}},
}
