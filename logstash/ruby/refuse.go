package ruby

// What is refused by name, with the reason and another way to do it.

type refusal struct{ reason, hint string }

const noSystem = "the code of a filter has no access to files, the network, the environment or other programs"

var refusedNames = map[string]refusal{
	"require_relative":      {"libraries cannot be loaded", ""},
	"load":                  {"libraries cannot be loaded", ""},
	"eval":                  {"code cannot be made at run time", "write the code itself"},
	"instance_eval":         {"code cannot be made at run time", "write the code itself"},
	"class_eval":            {"code cannot be made at run time", "write the code itself"},
	"instance_variable_get": {"variables cannot be named at run time", "keep a hash in one variable"},
	"instance_variable_set": {"variables cannot be named at run time", "keep a hash in one variable"},
	"define_method":         {"methods cannot be made at run time", "write def name … end"},
	"method_missing":        {"methods cannot be made at run time", ""},
	"send":                  {"methods cannot be called by a name that is made at run time", "call the method by its name"},
	"public_send":           {"methods cannot be called by a name that is made at run time", "call the method by its name"},
	"__send__":              {"methods cannot be called by a name that is made at run time", "call the method by its name"},
	"binding":               {"code cannot be made at run time", ""},
	"system":                {noSystem, ""},
	"exec":                  {noSystem, ""},
	"spawn":                 {noSystem, ""},
	"fork":                  {noSystem, ""},
	"open":                  {noSystem, "the filter translate reads dictionaries from files"},
	"gets":                  {noSystem, ""},
	"exit":                  {"a filter cannot end the pipeline", "use return, or event.cancel"},
	"exit!":                 {"a filter cannot end the pipeline", "use return, or event.cancel"},
	"abort":                 {"a filter cannot end the pipeline", "use return, or event.cancel"},
	"sleep":                 {"a filter that sleeps holds up the whole pipeline", "use the filter throttle to limit events"},
	"java_import":           {"there is no Java", "use Ruby's own classes"},
	"java":                  {"there is no Java", "use Ruby's own classes"},
	"catch":                 {"catch and throw are not supported", "use return, break or a variable"},
	"throw":                 {"catch and throw are not supported", "use return, break or a variable"},
	"attr_accessor":         {"classes cannot be made", "use a hash"},
	"include":               {"classes cannot be made", ""},
	"extend":                {"classes cannot be made", ""},
}

var refusedConstants = map[string]refusal{
	"File":        {noSystem, "the filter translate reads dictionaries from files"},
	"Dir":         {noSystem, ""},
	"IO":          {noSystem, ""},
	"Kernel":      {"methods of Kernel are called without it", ""},
	"ENV":         {noSystem, `write "${NAME}" into the code: the configuration replaces it`},
	"ARGV":        {noSystem, ""},
	"STDIN":       {noSystem, ""},
	"STDOUT":      {noSystem, "use logger.info"},
	"STDERR":      {noSystem, "use logger.warn"},
	"Net":         {noSystem, ""},
	"Net::HTTP":   {noSystem, ""},
	"TCPSocket":   {noSystem, ""},
	"UDPSocket":   {noSystem, ""},
	"Socket":      {noSystem, "use the filter dns for names of hosts"},
	"Resolv":      {noSystem, "use the filter dns"},
	"Process":     {noSystem, ""},
	"Open3":       {noSystem, ""},
	"YAML":        {noSystem, "the filter translate reads dictionaries from files"},
	"CSV":         {"the library csv is not there", "use the filter csv"},
	"Nokogiri":    {"the library nokogiri is not there", "use the filter xml"},
	"Redis":       {noSystem, ""},
	"Thread":      {"there are no threads", ""},
	"Mutex":       {"there are no threads: code with instance variables is run one event at a time", "leave the lock out"},
	"Queue":       {"there are no threads", ""},
	"Java":        {"there is no Java", "use Ruby's own classes"},
	"Struct":      {"classes cannot be made", "use a hash"},
	"Set":         {"the library set is not there", "use an array with uniq, or a hash"},
	"OpenStruct":  {"classes cannot be made", "use a hash"},
	"Date":        {"the library date is not there", "use Time (Time.parse, Time.strptime), or the filter date"},
	"DateTime":    {"the library date is not there", "use Time (Time.parse, Time.strptime), or the filter date"},
	"Zlib":        {"the library zlib is not there", ""},
	"OpenSSL":     {"the library openssl is not there", "use Digest, or the filter fingerprint"},
	"ObjectSpace": {"objects of others cannot be seen", ""},
	"GC":          {"objects of others cannot be seen", ""},
	"BasicSocket": {noSystem, ""},
	"Rational":    {"rational numbers are not supported", "use floats"},
	"Complex":     {"complex numbers are not supported", ""},
}

// libraries are those that code may require: what is here of them is always there.
var libraries = map[string]bool{
	"json": true, "time": true, "base64": true, "digest": true, "digest/md5": true, "digest/sha1": true, "digest/sha2": true,
	"digest/sha256": true, "securerandom": true, "cgi": true, "uri": true, "bigdecimal": true,
	"logstash/json": true, "logstash/event": true, "logstash/timestamp": true, "logstash/namespace": true, "logstash/util": true,
}

var refusedKeywords = map[string]refusal{
	"class":      {"classes cannot be made", "use hashes and methods (def)"},
	"module":     {"modules cannot be made", "use hashes and methods (def)"},
	"alias":      {"alias is not supported", ""},
	"undef":      {"undef is not supported", ""},
	"super":      {"super is not supported", ""},
	"redo":       {"redo is not supported", ""},
	"BEGIN":      {"BEGIN is not supported", "use the option init"},
	"END":        {"END is not supported", ""},
	"__FILE__":   {"there is no file", ""},
	"__LINE__":   {"__LINE__ is not supported", ""},
	"__method__": {"__method__ is not supported", ""},
	"in":         {"pattern matching is not supported", "use when, or if"},
}
