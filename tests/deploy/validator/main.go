// Decodes deployment files as the programs do that take them: a manifest of Kubernetes strictly into the type of its kind, a Compose file
// by Compose's own loader, with its schema. Prints what each file holds, one line a thing; an error ends it with 1.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

var kinds = map[string]func() any{
	"v1/Service":                         func() any { return &core.Service{} },
	"apps/v1/StatefulSet":                func() any { return &apps.StatefulSet{} },
	"policy/v1/PodDisruptionBudget":      func() any { return &policy.PodDisruptionBudget{} },
	"networking.k8s.io/v1/NetworkPolicy": func() any { return &networking.NetworkPolicy{} },
}

func main() {
	for _, path := range os.Args[2:] {
		judge := manifests
		if os.Args[1] == "compose" {
			judge = compose
		}
		if err := judge(path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

func manifests(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var head meta.PartialObjectMetadata
		if err := strict.Unmarshal(document, &head); err != nil {
			return err
		}
		kind := head.APIVersion + "/" + head.Kind
		make, known := kinds[kind]
		if !known {
			return fmt.Errorf("%s is of a kind that nobody judges here", kind)
		}
		if err := strict.UnmarshalStrict(document, make()); err != nil {
			return fmt.Errorf("%s %s: %w", kind, head.Name, err)
		}
		fmt.Println(kind, head.Name)
	}
}

func compose(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	details := types.ConfigDetails{
		WorkingDir:  filepath.Dir(path),
		ConfigFiles: []types.ConfigFile{{Filename: path, Content: text}},
	}
	project, err := loader.LoadWithContext(context.Background(), details)
	if err != nil {
		return err
	}
	for _, name := range project.ServiceNames() {
		fmt.Println(project.Name, name)
	}
	return nil
}
