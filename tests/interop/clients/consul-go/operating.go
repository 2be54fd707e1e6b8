package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"

	"github.com/hashicorp/consul/api"
)

var operating = []story{
	{"events are fired and listed", func(client *api.Client) {
		id := got(fired(client.Event().Fire(&api.UserEvent{Name: "deploy", Payload: []byte("v2"), ServiceFilter: "web", TagFilter: "v1", NodeFilter: "."}, nil)))
		until(func() bool { return len(read(client.Event().List("deploy", nil))) == 1 })
		events, meta, err := client.Event().List("deploy", nil)
		must(err)
		same([]any{events[0].ID, string(events[0].Payload), events[0].ServiceFilter}, []any{id, "v2", "web"})
		same(meta.LastIndex, client.Event().IDToIndex(id))
	}},
	{"members, joining and forgetting", func(client *api.Client) {
		agent := client.Agent()
		members := got(agent.Members(false))
		same([]any{len(members), members[0].Name, members[0].Status}, []any{1, nodeName(client), 1})
		same(got(agent.Members(true))[0].Name, nodeName(client)+".dc1")
		must(agent.Join(members[0].Addr, false))
		hold(agent.Join("192.0.2.1", false) != nil, "an unknown address was joined")
		hold(agent.ForceLeave("nobody") != nil, "nobody left")
		must(agent.Reload())
	}},
	{"no access control is said", func(client *api.Client) {
		_, err := client.Agent().UpdateAgentACLToken("secret", nil)
		code, text := refused(err)
		same([]any{code, text}, []any{401, "ACL support disabled"})
	}},
	{"metrics", func(client *api.Client) {
		metrics := got(client.Agent().Metrics())
		hold(metrics.Timestamp != "" && len(metrics.Gauges)+len(metrics.Counters)+len(metrics.Samples) > 0, "no metrics")
		ended, cancel := context.WithCancel(context.Background())
		defer cancel()
		stream := got(client.Agent().MetricsStream(ended))
		defer stream.Close()
		var first api.MetricsInfo
		must(json.NewDecoder(stream).Decode(&first))
		hold(first.Timestamp != "", "no metrics")
	}},
	{"the log is followed", func(client *api.Client) {
		for _, follow := range []func(string, <-chan struct{}, *api.QueryOptions) (chan string, error){client.Agent().Monitor, client.Agent().MonitorJSON} {
			stop, ended := make(chan struct{}), make(chan struct{})
			lines := got(follow("debug", stop, nil))
			go func() { // until the end: the client looks at stop only when a line comes
				for {
					select {
					case <-ended:
						return
					default:
						client.Agent().Reload()
					}
				}
			}()
			hold(<-lines != "", "an empty line")
			close(stop)
			for range lines {
			}
			close(ended)
		}
	}},
	{"the servers, and who leads", func(client *api.Client) {
		operator := client.Operator()
		raft := got(operator.RaftGetConfiguration(nil))
		same([]any{raft.Index, len(raft.Servers), raft.Servers[0].Leader, raft.Servers[0].Voter}, []any{uint64(0), 1, true, true})
		hold(operator.RaftRemovePeerByID("nobody", nil) != nil && operator.RaftRemovePeerByAddress("192.0.2.1:8300", nil) != nil, "a peer was removed")
		_, err := operator.RaftLeaderTransfer("", nil)
		hold(err != nil, "the only server gave up the lead")
		usage := read(operator.Usage(nil)).Usage["dc1"]
		hold(usage.Nodes >= 1 && usage.ServiceInstances >= usage.Services && usage.Services >= 1, usage)
	}},
	{"there are no keys of gossip", func(client *api.Client) {
		operator := client.Operator()
		key := "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s="
		hold(operator.KeyringInstall(key, nil) != nil && operator.KeyringUse(key, nil) != nil && operator.KeyringRemove(key, nil) != nil, "a key was taken")
		// Consul refuses here too; a server without gossip has rings without keys.
		if rings, err := operator.KeyringList(nil); err == nil {
			for _, ring := range rings {
				same(len(ring.Keys), 0)
			}
		}
	}},
	{"the autopilot", func(client *api.Client) {
		operator := client.Operator()
		before := got(operator.AutopilotGetConfiguration(nil))
		wrong := *before
		wrong.ModifyIndex += 1000
		same(got(operator.AutopilotCASConfiguration(&wrong, nil)), false)
		wanted := *before
		wanted.CleanupDeadServers = false
		same(got(operator.AutopilotCASConfiguration(&wanted, nil)), true)
		same(got(operator.AutopilotGetConfiguration(nil)).CleanupDeadServers, false)
		must(operator.AutopilotSetConfiguration(before, nil))
		until(func() bool {
			health, err := operator.AutopilotServerHealth(nil)
			return err == nil && health.Healthy && len(health.Servers) == 1 && health.Servers[0].Leader
		})
		state := got(operator.AutopilotState(nil))
		same([]any{state.Healthy, len(state.Servers), len(state.Voters)}, []any{true, 1, 1})
		hold(state.Servers[state.Leader].Status == "leader", state)
	}},
	{"a snapshot brings back what was there", func(client *api.Client) {
		body, _, err := client.Snapshot().Save(nil)
		must(err)
		saved := got(io.ReadAll(body))
		body.Close()
		same(saved[:2], []byte{0x1f, 0x8b})
		written(client.Catalog().Register(&api.CatalogRegistration{Node: "late", Address: "10.3.0.1"}, nil))
		must(client.Snapshot().Restore(nil, bytes.NewReader(saved)))
		until(func() bool { node, _, err := client.Catalog().Node("late", nil); return err == nil && node == nil })
		hold(client.Snapshot().Restore(nil, strings.NewReader("no snapshot")) != nil, "something else was restored")
	}},
	{"everything is deregistered", func(client *api.Client) {
		agent := client.Agent()
		for services := got(agent.Services()); len(services) > 0; services = got(agent.Services()) {
			must(agent.ServiceDeregister(keys(services)[0]))
		}
		same(keys(got(agent.Checks())), []string{})
		written(client.Catalog().Deregister(&api.CatalogDeregistration{Node: "planned"}, nil))
		until(func() bool { return len(read(client.Catalog().Services(nil))) == 1 })
	}},
	{"the agent leaves", func(client *api.Client) {
		must(client.Agent().Leave())
		until(func() bool { _, err := client.Status().Leader(); return err != nil })
	}},
}
