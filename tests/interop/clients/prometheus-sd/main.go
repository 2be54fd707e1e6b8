// What Prometheus' own service discovery finds at a Consul server: prometheus-sd HOST:PORT [SERVICE TAG]. After each change one
// JSON line: the labels of every target.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/consul"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	config := consul.DefaultSDConfig
	config.Server = os.Args[1]
	config.RefreshInterval = model.Duration(time.Second)
	if len(os.Args) > 2 {
		config.Services, config.ServiceTags = os.Args[2:3], os.Args[3:4]
	}
	registry := prometheus.NewRegistry()
	metrics := config.NewDiscovererMetrics(registry, discovery.NewRefreshMetrics(registry))
	must(metrics.Register())
	found, err := config.NewDiscoverer(discovery.DiscovererOptions{Logger: slog.Default(), Metrics: metrics})
	must(err)
	groups := make(chan []*targetgroup.Group)
	go found.Run(context.Background(), groups)
	current := map[string][]model.LabelSet{}
	for told := range groups {
		for _, group := range told {
			current[group.Source] = nil
			for _, target := range group.Targets {
				current[group.Source] = append(current[group.Source], target.Merge(group.Labels))
			}
		}
		all := []model.LabelSet{}
		for _, targets := range current {
			all = append(all, targets...)
		}
		line, err := json.Marshal(all)
		must(err)
		fmt.Println(string(line))
	}
}
