package input

import (
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// OpenSearch reads what a search finds.
//
// Source: LogStash::Inputs::OpenSearch of logstash-input-opensearch 2.0.
//
// Differences:
//   - What a page was lost of is not passed over: the search is an error then, and the pipeline ends with it unless there is a schedule.
//   - ssl without ca_file checks the target's certificate by the authorities of the system; the original does not check it.
type OpenSearch struct {
	Options
	Hits
	SSL    bool   `ls:"ssl" default:"false" doc:"whether connections are encrypted"`
	CAFile string `ls:"ca_file,path" doc:"the file (PEM) with the authority that vouches for the target"`
}

// Traits implements Plugin.
func (*OpenSearch) Traits() Traits { return Traits{Codec: "json"} }

// Setup implements Plugin.
func (o *OpenSearch) Setup(s *Setup) (Input, error) {
	h := &hitsInput{Hits: &o.Hits, name: "opensearch", tls: &tlsoption.Config{Dir: s.Dir, Log: s.Log}}
	h.tls.Named("ssl_certificate_authorities", "ca_file")
	if o.CAFile != "" {
		h.tls.CertificateAuthorities = []string{o.CAFile}
	}
	var ssl *bool
	if o.SSL {
		ssl = &o.SSL
	} else if o.CAFile != "" && len(o.Hosts) == 0 {
		return nil, option.Errorf("ca_file", "connections are not encrypted: set ssl => true")
	}
	if err := h.setup(s, ssl); err != nil {
		return nil, err
	}
	return h, nil
}
