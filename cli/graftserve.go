package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/migrate/graft"
)

func newGraftServeCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "serve FROM",
		short: "serve the grafted repository to OpenSearch over HTTP, and write nothing",
		long: `Shows a snapshot repository of Elasticsearch to OpenSearch as one that it restores: its
metadata are rewritten as they are asked for, and its data passed through. OpenSearch
registers it as a repository of type url; its setting repositories.url.allowed_urls must
allow the address. With --restore the cluster restores it at once, and naru ends when that
is done; without, naru serves until it is interrupted.

Unless the address is a loopback one, the path begins with a secret: NARU_TOKEN, or one that
is made up and printed.`,
		examples: []example{
			{"naru graft serve /backups/es --target 2.19", "serve at 127.0.0.1:9401"},
			{"naru graft serve s3://backups/es --listen 10.0.0.5:9401 --restore https://node-1:9200", "restore without a copy anywhere"},
		},
		exits: graftExits,
	})
	cmd.Args = exactArgs("FROM")
	f := addGraftFlags(cmd)
	restore := addRestoreFlags(cmd)
	var listen, public string
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9401", "serve at `ADDRESS`")
	cmd.Flags().StringVar(&public, "public-url", "", "the `URL` under which the nodes of OpenSearch reach the address")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		from, err := repositoryAt(args[0])
		if err != nil {
			return err
		}
		g := &grafting{common: c, f: f, from: from, restore: restore}
		return g.serve(cmd.Context(), listen, public)
	}
	return cmd
}

// serve serves until it is interrupted, or what it is served for is done.
func (g *grafting) serve(ctx context.Context, listen, public string) (err error) {
	ctx, stop := g.interruptible(ctx)
	defer stop()
	started := time.Now()
	if err := g.open(ctx); err != nil {
		return g.ended(ctx, err)
	}
	defer func() { err = errors.Join(err, g.plan.Close()) }()
	result := &graftReport{Plan: g.plan}
	if g.plan.Grafts() > 0 {
		if err := g.serving(ctx, listen, public, result); err != nil {
			return g.ended(ctx, err)
		}
	}
	if g.client == nil && g.plan.Grafts() > 0 {
		return nil
	}
	result.finish(started)
	if err := g.print(g.f.output, result, func(w io.Writer, width int) error { return result.write(w, width, g.f) }); err != nil {
		return err
	}
	if code := result.code(); code != exitOK {
		return &exitError{code: code}
	}
	return nil
}

func (g *grafting) serving(ctx context.Context, listen, public string, result *graftReport) (err error) {
	view, err := g.plan.View(ctx)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	token, url := "", "http://"+l.Addr().String()+"/"
	if public != "" {
		url = strings.TrimSuffix(public, "/") + "/"
	}
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		if token = g.Getenv("NARU_TOKEN"); token == "" {
			token = newToken()
		}
		if strings.Trim(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" || len(token) < 16 {
			return errors.Join(errors.New("NARU_TOKEN: want at least 16 letters, digits, - or _"), l.Close())
		}
		url += token + "/"
	}
	server := &http.Server{Handler: graft.Handler(view, token, g.log()), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	var wg sync.WaitGroup
	failed := make(chan error, 1)
	wg.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	})
	defer func() {
		err = errors.Join(err, server.Close())
		wg.Wait()
	}()
	if g.client != nil {
		return g.restoreFrom(ctx, result, "url", map[string]any{"url": url})
	}
	if g.f.output.value == "table" {
		if err := writePlan(g.Stdout, g.columns(g.Stdout), g.f, g.plan); err != nil {
			return err
		}
	}
	fmt.Fprintf(g.Stderr, "Serving %s for OpenSearch %s at %s (Ctrl-C ends it). In OpenSearch, whose\nrepositories.url.allowed_urls must allow that address:\n", g.from, g.plan.Target, url)
	name := cmp.Or(g.restore.repository, repositoryName(nil))
	fmt.Fprintf(g.Stderr, "  PUT _snapshot/%s {\"type\": \"url\", \"settings\": {\"url\": %q}}\n", name, url)
	for _, s := range g.plan.Snapshots {
		if s.Grafted > 0 {
			fmt.Fprintf(g.Stderr, "  POST _snapshot/%s/%s/_restore {\"indices\": \"…\", \"include_global_state\": false}\n", name, s.Name)
			break
		}
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// newToken makes up a secret.
func newToken() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) //nolint:errcheck // it never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
