package main

import (
	"context"
	"io"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/api/watch"
)

var watching = []story{
	{"a blocking query ends with the change", func(client *api.Client) {
		_, meta, err := client.Health().Service("later", "", false, nil)
		must(err)
		go func() {
			time.Sleep(300 * time.Millisecond)
			client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "later", Port: 4})
		}()
		entries, after, err := client.Health().Service("later", "", false, &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: time.Minute})
		must(err)
		same([]any{len(entries), after.LastIndex > meta.LastIndex}, []any{1, true})
		_, still, err := client.Health().Service("later", "", false, &api.QueryOptions{WaitIndex: after.LastIndex, WaitTime: 50 * time.Millisecond})
		must(err)
		same(still.LastIndex, after.LastIndex)
	}},
	{"a query that is given up leaves the connection usable", func(client *api.Client) {
		_, meta, err := client.Catalog().Services(nil)
		must(err)
		ended, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_, _, err = client.Catalog().Services((&api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: time.Minute}).WithContext(ended))
		hold(err != nil, "the query was answered")
		read(client.Catalog().Services(nil))
	}},
	{"a service is watched by its hash", func(client *api.Client) {
		_, meta, err := client.Agent().Service("later", nil)
		must(err)
		go func() {
			time.Sleep(300 * time.Millisecond)
			client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "later", Port: 5})
		}()
		service, after, err := client.Agent().Service("later", &api.QueryOptions{WaitHash: meta.LastContentHash, WaitTime: time.Minute})
		must(err)
		same([]any{service.Port, after.LastContentHash != meta.LastContentHash}, []any{5, true})
	}},
	{"watch plan services", plan(map[string]any{"type": "services"}, register("plan-a"), func(data any) bool {
		_, there := data.(map[string][]string)["plan-a"]
		return there
	})},
	{"watch plan nodes", plan(map[string]any{"type": "nodes"}, func(client *api.Client) {
		written(client.Catalog().Register(&api.CatalogRegistration{Node: "planned", Address: "10.2.0.1"}, nil))
	}, func(data any) bool { return len(data.([]*api.Node)) == 2 })},
	{"watch plan service", plan(map[string]any{"type": "service", "service": "plan-b", "passingonly": true}, register("plan-b"), func(data any) bool {
		return len(data.([]*api.ServiceEntry)) == 1
	})},
	{"watch plan checks of a state", plan(map[string]any{"type": "checks", "state": "warning"}, func(client *api.Client) {
		must(client.Agent().WarnTTL("beat", "getting tired"))
	}, func(data any) bool { return holdsCheck(data, "beat") })},
	{"watch plan checks of a service", plan(map[string]any{"type": "checks", "service": "web"}, func(client *api.Client) {
		must(client.Agent().PassTTL("beat", "rested"))
	}, func(data any) bool {
		checks := data.([]*api.HealthCheck)
		return len(checks) == 1 && checks[0].Output == "rested"
	})},
	{"watch plan event", plan(map[string]any{"type": "event", "name": "planned"}, func(client *api.Client) {
		got(fired(client.Event().Fire(&api.UserEvent{Name: "planned"}, nil)))
	}, func(data any) bool { return len(data.([]*api.UserEvent)) == 1 })},
	{"watch plan of one service by its hash", plan(map[string]any{"type": "agent_service", "service_id": "plan-a"}, func(client *api.Client) {
		must(client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "plan-a", Port: 77}))
	}, func(data any) bool { return data.(*api.AgentService).Port == 77 })},
}

func holdsCheck(data any, id string) bool {
	for _, check := range data.([]*api.HealthCheck) {
		if check.CheckID == id {
			return true
		}
	}
	return false
}

func register(name string) func(*api.Client) {
	return func(client *api.Client) {
		must(client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: name}))
	}
}

func fired(id string, _ *api.WriteMeta, err error) (string, error) { return id, err }

// A plan tells what there is; after the change it tells what fits.
func plan(of map[string]any, change func(*api.Client), fits func(any) bool) func(*api.Client) {
	return func(client *api.Client) {
		planned := got(watch.Parse(of))
		planned.LogOutput = io.Discard
		told := make(chan any, 100)
		planned.HybridHandler = func(_ watch.BlockingParamVal, data any) { told <- data }
		ended := make(chan error, 1)
		go func() { ended <- planned.RunWithClientAndHclog(client, nil) }()
		defer func() {
			planned.Stop()
			must(<-ended)
		}()
		next := func() any {
			select {
			case data := <-told:
				return data
			case <-time.After(patience):
				panic("the plan does not tell")
			}
		}
		for changed, seen := false, next(); !changed || !fits(seen); seen = next() {
			if !changed {
				hold(!fits(seen), "it fits before the change")
				change(client)
				changed = true
			}
		}
	}
}
