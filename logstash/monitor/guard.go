package monitor

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// Access says who may ask.
type Access struct {
	Username, Password string // "": everybody who reaches the address
}

// Guard lets those through that may ask. Without a password, it answers only requests for a name of this machine's loopback:
// otherwise a page in a browser here, whose name leads here (DNS rebinding), could read everything.
func Guard(next http.Handler, a Access) http.Handler {
	user, pass := sha256.Sum256([]byte(a.Username)), sha256.Sum256([]byte(a.Password))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == readyPath {
			next.ServeHTTP(w, r)
			return
		}
		if a.Username == "" && a.Password == "" {
			if !LoopbackName(r.Host) {
				fail(w, r, http.StatusForbidden, "without api.auth.type: basic only requests for localhost are answered")
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		givenUser, givenPass, _ := r.BasicAuth()
		u, p := sha256.Sum256([]byte(givenUser)), sha256.Sum256([]byte(givenPass))
		if subtle.ConstantTimeCompare(u[:], user[:])&subtle.ConstantTimeCompare(p[:], pass[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="logstash-api"`)
			fail(w, r, http.StatusUnauthorized, "Unauthorized")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// LoopbackName reports that a host, perhaps with a port, is one that leads to the machine itself: localhost, or an address of
// its loopback.
func LoopbackName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
