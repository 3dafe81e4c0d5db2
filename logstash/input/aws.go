package input

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/logstash/option"
)

// AWS are the options that say how AWS, or what speaks its protocols, is reached. Inputs and outputs embed them.
//
// Source: LogStash::PluginMixins::AwsConfig of logstash-integration-aws 7.3.
type AWS struct {
	Region               string           `ls:"region" default:"us-east-1" doc:"the region"`
	AccessKeyID          string           `ls:"access_key_id" doc:"the key of the credentials; without it, they are found as the AWS SDK finds them: environment, profile, web identity, role of the container or machine"`
	SecretAccessKey      *option.Password `ls:"secret_access_key" doc:"the secret of the credentials"`
	SessionToken         *option.Password `ls:"session_token" doc:"the token of credentials that end"`
	ProxyURI             string           `ls:"proxy_uri" doc:"a proxy"`
	Endpoint             string           `ls:"endpoint" doc:"the URL of what stands for AWS"`
	RoleARN              string           `ls:"role_arn" doc:"a role to assume"`
	RoleSessionName      string           `ls:"role_session_name" default:"logstash" doc:"what a session of that role is called"`
	CredentialsFile      string           `ls:"aws_credentials_file" doc:"a file (YAML) with access_key_id, secret_access_key and session_token"`
	UseBundledCA         bool             `ls:"use_aws_bundled_ca" default:"false" doc:"it has no meaning here: the authorities are those of the system, or of AWS_CA_BUNDLE"`
	WebIdentityTokenFile string           `ls:"web_identity_token_file" doc:"a file with a token of web identity, to assume role_arn with"`
	AdditionalSettings   option.Hash      `ls:"additional_settings" doc:"more settings of the client: force_path_style is heeded, others have no meaning here"`
}

// CheckAWS checks the options together.
func (a *AWS) CheckAWS() error {
	if (a.AccessKeyID == "") != (a.SecretAccessKey == nil) {
		return option.Errorf("access_key_id", "it and secret_access_key belong together")
	}
	if a.WebIdentityTokenFile != "" && a.RoleARN == "" {
		return option.Errorf("web_identity_token_file", "it needs role_arn")
	}
	for name, text := range map[string]string{"proxy_uri": a.ProxyURI, "endpoint": a.Endpoint} {
		if text == "" {
			continue
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return option.Errorf(name, "it is no URL with a host")
		}
		if err := CheckURL(u); err != nil {
			return option.Errorf(name, "%w", err)
		}
	}
	if v, ok := a.AdditionalSettings.Get("force_path_style"); ok {
		if _, err := strconv.ParseBool(option.Text(v)); err != nil {
			return option.Errorf("additional_settings", "force_path_style must be true or false")
		}
	}
	return nil
}

// OpenBucket opens a bucket. dir is what relative paths are relative to. It does not ask the bucket anything.
func (a *AWS) OpenBucket(ctx context.Context, c blob.S3Config, dir string) (*blob.S3, error) {
	c.Region, c.Endpoint = a.Region, a.Endpoint
	if v, ok := a.AdditionalSettings.Get("force_path_style"); ok {
		c.PathStyle = blob.HostStyle
		if on, _ := strconv.ParseBool(option.Text(v)); on {
			c.PathStyle = blob.PathStyle
		}
	}
	if a.ProxyURI != "" {
		u, err := url.Parse(a.ProxyURI)
		if err != nil {
			return nil, err
		}
		t, ok := http.DefaultTransport.(*http.Transport)
		if !ok {
			t = &http.Transport{}
		}
		t = t.Clone()
		t.Proxy, t.MaxIdleConnsPerHost = http.ProxyURL(u), 64
		c.Transport = t
	}
	switch {
	case a.AccessKeyID != "":
		c.Keys = &blob.Keys{ID: a.AccessKeyID, Secret: string(*a.SecretAccessKey)}
		if a.SessionToken != nil {
			c.Keys.Token = string(*a.SessionToken)
		}
	case a.CredentialsFile != "":
		keys, err := readKeys(resolve(dir, a.CredentialsFile))
		if err != nil {
			return nil, fmt.Errorf("aws_credentials_file: %w", err)
		}
		c.Keys = keys
	}
	if a.RoleARN != "" {
		c.Role = &blob.Role{ARN: a.RoleARN, Session: a.RoleSessionName, TokenFile: resolve(dir, a.WebIdentityTokenFile)}
	}
	return c.Open(ctx)
}

func resolve(dir, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// readKeys reads a file of credentials, whose names may be Ruby's symbols (":access_key_id").
func readKeys(name string) (*blob.Keys, error) {
	text, err := os.ReadFile(name) //nolint:gosec // the configuration names it
	if err != nil {
		return nil, err
	}
	var all map[string]string
	if err := yaml.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s is no YAML of names and texts", name) // the error would show secrets
	}
	get := func(name string) string {
		if v := all[":"+name]; v != "" {
			return v
		}
		return all[name]
	}
	k := &blob.Keys{ID: get("access_key_id"), Secret: get("secret_access_key"), Token: get("session_token")}
	if k.ID == "" || k.Secret == "" {
		return nil, fmt.Errorf("%s has no access_key_id or no secret_access_key", name)
	}
	return k, nil
}
