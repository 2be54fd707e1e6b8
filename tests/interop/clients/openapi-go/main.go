// The story of one instance, told through a client that was generated from the server's own description.
// Argument: the server's URL. Output: one JSON object with what was seen. Any error ends it with another exit code than 0.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"callboard.example/openapi/api"
)

const (
	service  = "go"
	instance = "go/1"
	patience = 60 * time.Second
)

func pointer[T any](value T) *T { return &value }

// there fails unless the answer has the body that was hoped for.
func there[T any](body *T, status string, raw []byte, err error) *T {
	if err != nil {
		log.Fatal(err)
	}
	if body == nil {
		log.Fatalf("%s: %s", status, raw)
	}
	return body
}

func problem(found *api.Problem) string {
	if found == nil {
		log.Fatal("this is no error")
	}
	text := fmt.Sprintf("%d %s", found.Status, found.Code)
	if found.Field != nil {
		text += " " + *found.Field
	}
	return text
}

type story struct {
	ctx    context.Context
	client *api.ClientWithResponses
}

func (s story) endpoints() []string {
	wanted := api.ResolveParams{PassingOnly: pointer(true), Tag: &[]string{"typed"}, Prefer: pointer(api.ResolveParamsPrefer("latest"))}
	answer, err := s.client.ResolveWithResponse(s.ctx, service, &wanted)
	body := there(answer.JSON200, answer.Status(), answer.Body, err)
	found := []string{}
	for _, endpoint := range body.Endpoints {
		found = append(found, fmt.Sprintf("%s:%d %s", endpoint.Address, endpoint.Port, endpoint.Version))
	}
	return found
}

func (s story) firstEvent() (string, api.InstanceEvent) {
	var event string
	var told api.InstanceEvent
	answer, err := s.client.Watch(s.ctx, &api.WatchParams{Service: &[]string{service}})
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if err := json.Unmarshal([]byte(data), &told); err != nil {
				log.Fatal(err)
			}
			return event, told
		}
	}
	log.Fatal("the stream ended: ", lines.Err())
	return event, told
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err := api.NewClientWithResponses(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	s := story{ctx, client}

	registered, err := client.RegisterInstanceWithResponse(ctx, nil, api.Registration{
		Service: service, Id: pointer(instance), Address: pointer("192.0.2.1"), Port: pointer(8080), Tags: &[]string{"typed"},
		Meta:   &map[string]string{"version": "1.2.3"},
		Checks: &[]api.CheckRequest{{TtlMs: pointer(int64(60_000)), Status: pointer(api.CheckRequestStatus("warning"))}},
	})
	written := there(registered.JSON200, registered.Status(), registered.Body, err)
	warned := s.endpoints()
	beaten, err := client.HeartbeatWithResponse(ctx, instance, nil, api.Beat{Output: pointer("fine")})
	beat := there(beaten.JSON200, beaten.Status(), beaten.Body, err)
	found := s.endpoints()
	event, told := s.firstEvent()
	read, err := client.GetInstanceWithResponse(ctx, instance, nil)
	state := there(read.JSON200, read.Status(), read.Body, err)
	index, _ := strconv.ParseInt(read.HTTPResponse.Header.Get("Callboard-Index"), 10, 64)
	outputs := []string{}
	for _, check := range state.Checks {
		if check.Output == "fine" {
			outputs = append(outputs, check.Output)
		}
	}
	draining, err := client.DrainInstanceWithResponse(ctx, instance, nil)
	there(draining.JSON200, draining.Status(), draining.Body, err)
	drained := s.endpoints()
	undraining, err := client.UndrainInstanceWithResponse(ctx, instance, nil)
	there(undraining.JSON200, undraining.Status(), undraining.Body, err)
	shown := s.endpoints()
	several, err := client.HeartbeatsWithResponse(ctx, nil, api.Beats{Beats: []api.BeatTarget{{Id: instance}, {Id: "nobody"}}})
	beats := there(several.JSON200, several.Status(), several.Body, err)
	unknown := []string{}
	for _, one := range beats.Unknown {
		unknown = append(unknown, one.Id+" "+one.Reason)
	}
	misspelled, err := client.RegisterInstanceWithBodyWithResponse(ctx, nil, "application/json", strings.NewReader(`{"service":"go","prot":1}`))
	if err != nil {
		log.Fatal(err)
	}
	removed, err := client.DeregisterInstanceWithResponse(ctx, instance, nil)
	there(removed.JSON200, removed.Status(), removed.Body, err)
	forgotten, err := client.HeartbeatWithResponse(ctx, instance, nil, api.Beat{})
	if err != nil {
		log.Fatal(err)
	}

	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"written": map[string]any{"id": written.Id, "service": written.Service, "changed": written.Changed},
		"warned":  warned, "turned": beat.Changed, "found": found,
		"event":    map[string]any{"event": event, "id": told.Instance.Id, "status": told.Instance.Status},
		"instance": map[string]any{"status": state.Status, "outputs": outputs},
		"index":    index >= state.Modified,
		"drained":  drained, "shown": shown, "renewed": beats.Renewed, "unknown": unknown,
		"refused": problem(misspelled.ApplicationproblemJSON400), "gone": problem(forgotten.ApplicationproblemJSON404),
	})
}
