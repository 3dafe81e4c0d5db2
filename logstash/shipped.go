package logstash

import (
	"strings"

	"github.com/narudata/naru/logstash/syntax"
)

// shipped are the plugins that come with Logstash, or are kept by its makers, by what they are. One that is here and not
// built into naru is told from one that does not exist.
//
// Source: rakelib/plugins-metadata.json, and the plugins of the integrations in it.
var shipped = map[syntax.Kind][]string{
	syntax.Input: strings.Fields(`azure_event_hubs beats cloudwatch couchdb_changes dead_letter_queue drupal_dblog dynamodb
		elastic_agent elastic_serverless_forwarder elasticsearch exec file ganglia gelf generator github google_cloud_storage
		google_pubsub graphite heartbeat heroku http http_poller imap irc java_generator java_stdin jdbc jms jmx journald kafka
		kinesis log4j log4j2 logstash lumberjack meetup neo4j perfmon pipe pipeline puppet_facter rabbitmq rackspace redis relp rss
		s3 s3-sns-sqs salesforce snmp snmptrap sqlite sqs stdin stomp syslog tcp twitter udp unix varnishlog websocket wmi xmpp
		zeromq`),
	syntax.Filter: strings.Fields(`age aggregate alter anonymize bytes cidr cipher clone csv date de_dot dissect dns drop elapsed
		elastic_integration elasticsearch environment extractnumbers fingerprint geoip grok hashid http i18n java_uuid
		jdbc_static jdbc_streaming json json_encode kv language math memcached metricize metrics mutate prune range ruby sleep
		split syslog_pri threats_classifier throttle tld translate truncate urldecode useragent uuid wurfl_device_detection xml
		yaml zeromq`),
	syntax.Output: strings.Fields(`boundary circonus cloudwatch csv datadog datadog_metrics dynatrace elastic_app_search
		elastic_workplace_search elasticsearch email exec file ganglia gelf google_bigquery google_cloud_storage google_pubsub
		graphite graphtastic http influxdb irc java_stdout juggernaut kafka librato logentries loggly logstash lumberjack metriccatcher
		mongodb nagios nagios_nsca neo4j newrelic null opensearch opentsdb pagerduty pipe pipeline rabbitmq rackspace redis
		redmine riak riemann s3 sink slack sns solr_http sqs statsd stdout stomp syslog tcp timber udp webhdfs websocket xmpp zabbix
		zeromq`),
}

// shippedCodecs are the same for codecs.
var shippedCodecs = strings.Fields(`avro cef cloudfront cloudtrail collectd csv dots edn edn_lines es_bulk fluent graphite gzip_lines
	java_line java_plain jdots json json_lines line msgpack multiline netflow nmap plain protobuf rubydebug`)
