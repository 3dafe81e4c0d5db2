// Package argo is naru as a plugin of Argo Rollouts, all three kinds in one: a traffic router that shares a Kafka consumer group
// between two versions of a pipeline by its route (kafka.Route), a metric provider that compares what they do, and a step that waits.
//
// The controller starts the program, asks it by net/rpc over hashicorp/go-plugin, and says by an environment variable which kind it
// wants. Everything here is thin: what it does can be done without Kubernetes, too, by naru kafka route, naru diff and the pipelines'
// API.
//
// Source: github.com/argoproj/argo-rollouts, utils/plugin/types, */plugin/rpc.
package argo

import (
	"fmt"
	"io"
	"log/slog"
	"slices"

	metricrpc "github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	steprpc "github.com/argoproj/argo-rollouts/rollout/steps/plugin/rpc"
	trafficrpc "github.com/argoproj/argo-rollouts/rollout/trafficrouting/plugin/rpc"
	"github.com/hashicorp/go-plugin"
)

// Variable is the environment variable by which the controller says which kind of plugin it wants.
const Variable = "ARGO_ROLLOUTS_RPC_PLUGIN"

// Name is what the plugin is called in ConfigMaps and Rollouts.
const Name = "narudata/naru"

// Kinds are the values of Variable.
var Kinds = []string{"metricprovider", "step", "trafficrouter"}

// Handshake is what the controller and a plugin of a kind agree on.
func Handshake(kind string) plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: Variable, MagicCookieValue: kind}
}

// Serve is the plugin of a kind, which logs to the writer: the controller takes what a plugin writes to standard error into its own log.
// It returns when the controller ends it.
func Serve(kind string, log io.Writer) error {
	if !slices.Contains(Kinds, kind) {
		return fmt.Errorf("%s is %q: naru is a plugin of the kinds %q", Variable, kind, Kinds)
	}
	p := newPlatform(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	plugin.Serve(&plugin.ServeConfig{HandshakeConfig: Handshake(kind), Plugins: map[string]plugin.Plugin{
		"RpcMetricProviderPlugin": &metricrpc.RpcMetricProviderPlugin{Impl: &provider{platform: p}},
		"RpcStepPlugin":           &steprpc.RpcStepPlugin{Impl: &step{platform: p}},
		"RpcTrafficRouterPlugin":  &trafficrpc.RpcTrafficRouterPlugin{Impl: newRouter(p)},
	}})
	return nil
}
