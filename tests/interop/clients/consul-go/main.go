// Stories of discovery told through Consul's own Go client: stories URL. One JSON line each, "failed" empty when it held.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	patience = 60 * time.Second
	limit    = 2 * time.Minute // of one story; one that hangs is told with what it waits for
)

type story struct {
	name string
	told func(*api.Client)
}

func main() {
	config := api.DefaultConfig()
	config.Address = os.Args[1]
	client, err := api.NewClient(config)
	must(err)
	for _, one := range slices.Concat(registering, finding, watching, operating) {
		line, err := json.Marshal(map[string]string{"story": one.name, "failed": failure(one, client)})
		must(err)
		fmt.Println(string(line))
	}
}

// What went wrong in a story.
func failure(one story, client *api.Client) string {
	failed := make(chan string, 1)
	go func() {
		defer func() {
			if found := recover(); found != nil {
				failed <- fmt.Sprintf("%v\n%s", found, debug.Stack())
			}
		}()
		one.told(client)
		failed <- ""
	}()
	select {
	case said := <-failed:
		return said
	case <-time.After(limit):
		stacks := make([]byte, 1<<20)
		return fmt.Sprintf("not over within %v\n%s", limit, stacks[:runtime.Stack(stacks, true)])
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func got[T any](value T, err error) T {
	must(err)
	return value
}

func read[T any](value T, _ *api.QueryMeta, err error) T {
	must(err)
	return value
}

func same(found, expected any) {
	if !reflect.DeepEqual(found, expected) {
		panic(fmt.Sprintf("%#v, not %#v", found, expected))
	}
}

func hold(condition bool, said ...any) {
	if !condition {
		panic(fmt.Sprint(said...))
	}
}

func until(condition func() bool) {
	for end := time.Now().Add(patience); !condition(); time.Sleep(50 * time.Millisecond) {
		hold(time.Now().Before(end), "not so within ", patience)
	}
}

// The status code and text of an answer that refuses.
func refused(err error) (int, string) {
	status, ok := err.(api.StatusError)
	hold(ok, "no refusal: ", err)
	return status.Code, status.Body
}

func keys[T any](of map[string]T) []string {
	out := []string{}
	for key := range of {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

func ids(entries []*api.ServiceEntry) []string {
	out := []string{}
	for _, entry := range entries {
		out = append(out, entry.Service.ID)
	}
	slices.Sort(out)
	return out
}

func nodeName(client *api.Client) string { return got(client.Agent().NodeName()) }

func options(filter string) *api.QueryOptions { return &api.QueryOptions{Filter: filter} }
