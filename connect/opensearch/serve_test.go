package opensearch_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// serve starts a server of the test's own.
func serve(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s.URL
}
