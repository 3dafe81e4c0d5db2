package input

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// An Inspection is a look at a configuration before it runs: it finds what a run would fail at and that can be seen without the
// network. It reads files, and changes nothing.
type Inspection struct {
	Pipeline string // the pipeline's id
	// Data is the folder for what must outlive the process; "" says that the configuration is not to run here, or not yet: then
	// nobody looks whether folders can be written.
	Data string

	// Problems are what was found: *option.Invalid where it is known which option is wrong.
	Problems []error
}

// An Inspector has more to look at than options. Inspect is called after Setup.
type Inspector interface {
	Inspect(i *Inspection)
}

// A Claim is something that only one input or output can have.
type Claim struct {
	Option string // that names it
	What   string // in messages: "port 5044 (tcp)"
	// Key is the same for claims that cannot be together, unless both have hosts, and others.
	Key  string
	Host string // "": any
}

// A Claimer is an input or output that claims something. data and pipeline are as in Inspection.
type Claimer interface {
	Claims(pipeline, data string) []Claim
}

// Collides reports that two claims cannot be together.
func (c Claim) Collides(d Claim) bool {
	return c.Key == d.Key && (c.Host == d.Host || c.Host == "" || d.Host == "")
}

// ClaimPort gives the claim to a port of the protocol tcp or udp; none to port 0, for which the system gives a free one.
func ClaimPort(protocol, host string, port int64) []Claim {
	if port == 0 {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	} else if host == "localhost" {
		host = "127.0.0.1"
	}
	what := fmt.Sprintf("port %d (%s)", port, protocol)
	return []Claim{{Option: "port", What: what, Key: what, Host: host}}
}

// Report notes a problem; nil is none.
func (i *Inspection) Report(err error) {
	if err != nil {
		i.Problems = append(i.Problems, err)
	}
}

// TLS reads the certificates and keys of a server or a client; nil is without TLS.
func (i *Inspection) TLS(c *tlsoption.Config, server bool) {
	if c == nil {
		return
	}
	read := c.Client
	if server {
		read = c.Server
	}
	_, err := read()
	i.Report(err)
}

// AWS reads the file of credentials. dir is what relative paths are relative to.
func (i *Inspection) AWS(a *AWS, dir string) {
	if a.AccessKeyID != "" || a.CredentialsFile == "" {
		return
	}
	if _, err := readKeys(resolve(dir, a.CredentialsFile)); err != nil {
		i.Report(option.Errorf("aws_credentials_file", "%w", err))
	}
}

// Folder looks whether files can be made in a folder, or in one that can be made.
func (i *Inspection) Folder(name, dir string) {
	if i.Data == "" || dir == "" {
		return
	}
	if err := CanWriteIn(dir); err != nil {
		i.Report(option.Errorf(name, "%w", err))
	}
}

// File looks whether a file can be written, or made in its folder. A folder that is not there is made only where mkdir says so.
func (i *Inspection) File(name, path string, mkdir bool) {
	if i.Data == "" || path == "" {
		return
	}
	if err := canWriteFile(path, mkdir); err != nil {
		i.Report(option.Errorf(name, "%w", err))
	}
}

func canWriteFile(path string, mkdir bool) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a folder: expected the path of a file", path)
	case err == nil:
		return writable(path)
	case !errors.Is(err, fs.ErrNotExist) && !isNotDirectory(err):
		return err
	}
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) && !mkdir {
		return fmt.Errorf("there is no folder %s", dir)
	}
	return CanWriteIn(dir)
}

// CanWriteIn looks whether files can be made in a folder, or in one that can be made.
func CanWriteIn(dir string) error {
	at := filepath.Clean(dir)
	for {
		info, err := os.Stat(at)
		switch {
		case err == nil && !info.IsDir():
			return fmt.Errorf("%s is no folder", at)
		case err == nil:
			return writable(at)
		case !errors.Is(err, fs.ErrNotExist) && !isNotDirectory(err):
			return err
		}
		above := filepath.Dir(at)
		if above == at {
			return err
		}
		at = above
	}
}

// CheckPort looks at the port of a host and port, or of a URL's: Go takes any number for one.
func CheckPort(port string) error {
	if port == "" {
		return nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("expected a port from 1 to 65535, found %q", port)
	}
	return nil
}

// CheckURL looks at the host and the port of a URL that has one.
func CheckURL(u *url.URL) error {
	if err := CheckPort(u.Port()); err != nil {
		return fmt.Errorf("%s: %w", u.Redacted(), err)
	}
	return CheckHost(u.Hostname())
}

// CheckHost says what is wrong with the name or address of a host; "" is any.
func CheckHost(host string) error {
	if host == "" || net.ParseIP(host) != nil {
		return nil
	}
	if address, _, ok := strings.Cut(host, "%"); ok && net.ParseIP(address) != nil {
		return nil // fe80::1%eth0
	}
	if strings.Trim(host, "0123456789.") == "" {
		return fmt.Errorf("%q is no address: expected four numbers from 0 to 255, or a name", host)
	}
	if i := strings.IndexAny(host, " \t\r\n/\\:@\"'<>|,;?*#"); i >= 0 {
		return fmt.Errorf("%q is no name of a host: it has a %q", host, host[i])
	}
	if len(host) > 253 {
		return fmt.Errorf("%q is no name of a host: it has more than 253 bytes", host)
	}
	return nil
}
