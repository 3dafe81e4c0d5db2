package output

// ecsTypes are the types of the fields of the Elastic Common Schema 8.0 that are not keywords as any other text: a type's
// mapping in a line, and under it, indented, the names of its fields. What threat.indicator has, threat.enrichments.indicator has, too.
//
// Source: the schema's field reference.
const ecsTypes = `
{"type":"date"}
	@timestamp dll.code_signature.timestamp event.created event.end event.ingested event.start file.accessed
	file.code_signature.timestamp file.created file.ctime file.mtime file.x509.not_after file.x509.not_before
	package.installed process.code_signature.timestamp process.end process.parent.code_signature.timestamp
	process.parent.end process.parent.start process.start threat.indicator.file.accessed
	threat.indicator.file.code_signature.timestamp threat.indicator.file.created threat.indicator.file.ctime
	threat.indicator.file.mtime threat.indicator.file.x509.not_after threat.indicator.file.x509.not_before
	threat.indicator.first_seen threat.indicator.last_seen threat.indicator.modified_at threat.indicator.x509.not_after
	threat.indicator.x509.not_before tls.client.not_after tls.client.not_before tls.client.x509.not_after
	tls.client.x509.not_before tls.server.not_after tls.server.not_before tls.server.x509.not_after
	tls.server.x509.not_before
{"type":"long"}
	client.as.number client.bytes client.nat.port client.packets client.port destination.as.number destination.bytes
	destination.nat.port destination.packets destination.port dns.answers.ttl event.duration event.sequence event.severity
	file.size file.x509.public_key_size host.disk.read.bytes host.disk.write.bytes host.network.egress.bytes
	host.network.egress.packets host.network.ingress.bytes host.network.ingress.packets host.uptime http.request.body.bytes
	http.request.bytes http.response.body.bytes http.response.bytes http.response.status_code log.origin.file.line
	log.syslog.facility.code log.syslog.priority log.syslog.severity.code network.bytes network.packets package.size
	process.args_count process.exit_code process.parent.args_count process.parent.exit_code process.parent.pgid
	process.parent.pid process.parent.thread.id process.parent.uptime process.pgid process.pid process.thread.id
	process.uptime server.as.number server.bytes server.nat.port server.packets server.port source.as.number source.bytes
	source.nat.port source.packets source.port threat.indicator.as.number threat.indicator.file.size
	threat.indicator.file.x509.public_key_size threat.indicator.port threat.indicator.scanner_stats
	threat.indicator.sightings threat.indicator.url.port threat.indicator.x509.public_key_size
	tls.client.x509.public_key_size tls.server.x509.public_key_size url.port
{"fields":{"text":{"norms":false,"type":"text"}},"ignore_above":1024,"type":"keyword"}
	client.as.organization.name client.user.full_name client.user.name destination.as.organization.name
	destination.user.full_name destination.user.name file.path file.target_path host.os.full host.os.name observer.os.full
	observer.os.name organization.name process.executable process.name process.parent.executable process.parent.name
	process.parent.title process.parent.working_directory process.title process.working_directory
	server.as.organization.name server.user.full_name server.user.name source.as.organization.name source.user.full_name
	source.user.name threat.indicator.as.organization.name threat.indicator.file.path threat.indicator.file.target_path
	threat.technique.name threat.technique.subtechnique.name user.changes.full_name user.changes.name
	user.effective.full_name user.effective.name user.full_name user.name user.target.full_name user.target.name
	user_agent.original user_agent.os.full user_agent.os.name vulnerability.description
{"type":"geo_point"}
	client.geo.location destination.geo.location host.geo.location observer.geo.location server.geo.location
	source.geo.location threat.indicator.geo.location
{"type":"ip"}
	client.ip client.nat.ip destination.ip destination.nat.ip dns.resolved_ip host.ip network.forwarded_ip observer.ip
	related.ip server.ip server.nat.ip source.ip source.nat.ip threat.indicator.ip
{"type":"keyword"}
	data_stream.dataset data_stream.namespace data_stream.type registry.data.strings threat.indicator.registry.data.strings
	threat.indicator.url.path url.path
{"type":"boolean"}
	dll.code_signature.exists dll.code_signature.trusted dll.code_signature.valid faas.coldstart file.code_signature.exists
	file.code_signature.trusted file.code_signature.valid process.code_signature.exists process.code_signature.trusted
	process.code_signature.valid process.parent.code_signature.exists process.parent.code_signature.trusted
	process.parent.code_signature.valid threat.indicator.file.code_signature.exists
	threat.indicator.file.code_signature.trusted threat.indicator.file.code_signature.valid tls.established tls.resumed
{"norms":false,"type":"text"}
	error.message message
{"fields":{"text":{"norms":false,"type":"text"}},"type":"keyword"}
	error.stack_trace http.request.body.content http.response.body.content process.command_line process.parent.command_line
	threat.indicator.url.full threat.indicator.url.original url.full url.original
{"doc_values":false,"index":false,"type":"keyword"}
	event.original
{"type":"float"}
	event.risk_score event.risk_score_norm vulnerability.score.base vulnerability.score.environmental
	vulnerability.score.temporal
{"type":"nested"}
	faas.trigger threat.enrichments
{"ignore_above":1,"type":"keyword"}
	file.drive_letter threat.indicator.file.drive_letter
{"doc_values":false,"index":false,"type":"long"}
	file.x509.public_key_exponent threat.indicator.file.x509.public_key_exponent threat.indicator.x509.public_key_exponent
	tls.client.x509.public_key_exponent tls.server.x509.public_key_exponent
{"scaling_factor":1000,"type":"scaled_float"}
	host.cpu.usage
`
