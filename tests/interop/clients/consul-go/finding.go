package main

import (
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/serf/coordinate"
)

var finding = []story{
	{"the catalog is written directly", func(client *api.Client) {
		catalog := client.Catalog()
		for _, place := range []struct{ node, rack string }{{"near", "r1"}, {"far", "r2"}} {
			written(catalog.Register(&api.CatalogRegistration{
				Node: place.node, Address: "10.1.0.1", NodeMeta: map[string]string{"rack": place.rack},
				Service: &api.AgentService{ID: "db-" + place.node, Service: "db", Port: 5432, Tags: []string{place.rack}},
				Checks:  api.HealthChecks{{Node: place.node, CheckID: "db-alive", Name: "alive", Status: "passing", ServiceID: "db-" + place.node}},
			}, nil))
		}
		node := read(catalog.Node("far", nil))
		same([]any{node.Node.Address, keys(node.Services)}, []any{"10.1.0.1", []string{"db-far"}})
		listed := read(catalog.NodeServiceList("far", nil))
		same([]any{listed.Node.Node, listed.Services[0].ID}, []any{"far", "db-far"})
		hold(read(catalog.Node("nobody", nil)) == nil, "nobody is there")
		same(len(read(catalog.Service("db", "", nil))), 2)
		same(read(catalog.ServiceMultipleTags("db", []string{"r1"}, nil))[0].Node, "near")
		same(read(client.Health().Node("far", nil))[0].ServiceName, "db")
		same(ids(read(client.Health().ServiceMultipleTags("db", []string{"r2"}, true, nil))), []string{"db-far"})
	}},
	{"only nodes with this meta", func(client *api.Client) {
		asked := &api.QueryOptions{NodeMeta: map[string]string{"rack": "r1"}}
		same(read(client.Catalog().Nodes(asked))[0].Node, "near")
		same(read(client.Catalog().Services(asked)), map[string][]string{"db": {"r1"}})
		same(ids(read(client.Health().Service("db", "", false, asked))), []string{"db-near"})
		same(len(read(client.Health().State("passing", asked))), 1)
	}},
	{"filters at every door", func(client *api.Client) {
		agent, catalog, health := client.Agent(), client.Catalog(), client.Health()
		same(keys(got(agent.ServicesWithFilter("Meta.env == prod"))), []string{"web1"})
		same(keys(got(agent.ChecksWithFilter(`ServiceName == "web" and Status == passing`))), []string{"beat"})
		same(len(got(agent.MembersOpts(api.MembersOpts{Filter: "Status == 1"}))), 1)
		same(read(catalog.Nodes(options(`Node matches "^fa+r$" and Meta.rack == r2`)))[0].Node, "far")
		same(read(catalog.Services(options(`"r1" in ServiceTags`))), map[string][]string{"db": {"r1"}})
		same(read(catalog.Service("db", "", options("NodeMeta.rack != r1")))[0].ServiceID, "db-far")
		same(keys(read(catalog.Node("far", options("Port == 1 or Port == 5432"))).Services), []string{"db-far"})
		same(ids(read(health.Service("db", "", false, options(`Node.Meta.rack == r1 and Checks.Status == passing`)))), []string{"db-near"})
		same(len(read(health.Checks("db", options("Node == far")))), 1)
		same(len(read(health.Node("far", options("Status != passing")))), 0)
		same(len(read(health.State("any", options("CheckID contains alive")))), 2)
	}},
	{"a filter that cannot be", func(client *api.Client) {
		for filter, said := range map[string]string{"Nope == 1": "Nope", "Node.Node = x": "", "Service.Port == abc": "Service.Port"} {
			_, _, err := client.Health().Service("db", "", false, options(filter))
			code, text := refused(err)
			hold(code == 500 && strings.Contains(text, said), code, " ", text)
		}
	}},
	{"the nearest first", func(client *api.Client) {
		for name, distance := range map[string]float64{"near": 0.001, "far": 0.9} {
			place := coordinate.NewCoordinate(coordinate.DefaultConfig())
			place.Vec[0] = distance
			written(client.Coordinate().Update(&api.CoordinateEntry{Node: name, Coord: place}, nil))
		}
		until(func() bool { return len(read(client.Coordinate().Nodes(nil))) >= 2 })
		same(read(client.Coordinate().Node("far", nil))[0].Coord.Vec[0], 0.9)
		same(got(client.Coordinate().Datacenters())[0].Datacenter, "dc1")
		for _, name := range []string{"near", "far"} {
			asked := &api.QueryOptions{Near: name}
			same(read(client.Health().Service("db", "", false, asked))[0].Node.Node, name)
			same(read(client.Catalog().Service("db", "", asked))[0].Node, name)
			same(read(client.Catalog().Nodes(asked))[0].Node, name)
			same(read(client.Health().Checks("db", asked))[0].Node, name)
		}
	}},
	{"every consistency, with its headers", func(client *api.Client) {
		for _, asked := range []*api.QueryOptions{{}, {AllowStale: true}, {RequireConsistent: true}, {UseCache: true, MaxAge: time.Minute}} {
			_, meta, err := client.Health().Service("web", "", false, asked)
			must(err)
			hold(meta.LastIndex > 0 && meta.DefaultACLPolicy == "allow", "headers are missing: ", *meta)
			hold(asked.UseCache || (meta.KnownLeader && meta.LastContact == 0), "no leader is known: ", *meta)
		}
		_, _, err := client.Health().Service("web", "", false, &api.QueryOptions{AllowStale: true, RequireConsistent: true})
		code, _ := refused(err)
		same(code, 400)
	}},
	{"another data center is not there", func(client *api.Client) {
		_, _, err := client.Catalog().Nodes(&api.QueryOptions{Datacenter: "dc9"})
		code, text := refused(err)
		same([]any{code, text}, []any{500, "No path to datacenter"})
	}},
	{"gateways and peers are none", func(client *api.Client) {
		same(len(read(client.Health().Ingress("web", false, nil))), 0)
		same(len(read(client.Catalog().GatewayServices("web", nil))), 0)
		same(len(read(client.Health().Service("web", "", false, &api.QueryOptions{Peer: "cluster-b"}))), 0)
	}},
	{"a node goes, with all that is on it", func(client *api.Client) {
		catalog := client.Catalog()
		written(catalog.Deregister(&api.CatalogDeregistration{Node: "far", CheckID: "db-alive"}, nil))
		same(len(read(client.Health().Node("far", nil))), 0)
		written(catalog.Deregister(&api.CatalogDeregistration{Node: "far", ServiceID: "db-far"}, nil))
		for _, node := range []string{"near", "far"} {
			written(catalog.Deregister(&api.CatalogDeregistration{Node: node}, nil))
		}
		same(len(read(catalog.Service("db", "", nil))), 0)
	}},
}

func written(_ *api.WriteMeta, err error) { must(err) }
