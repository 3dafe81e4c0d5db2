package codec

import (
	"fmt"
	"slices"
	"strings"
)

// cefNames are the fields of CEF: the full name, the key in messages (- where that is the name), and the field of the Elastic
// Common Schema. "device" in brackets is observer or host; where they differ in more there are two fields, for host and for
// observer. Then there may be
//
//	time     it is a time, and becomes one with the schema
//	wins     of two names with the same field of the schema this is the one that is written
//	was=NAME an older name that is read, too
//
// Source: ArcSight Common Event Format, Implementation Standard; cef.rb of logstash-codec-cef 6.2.
const cefNames = `
agentAddress agt [agent][ip]
agentDnsDomain - [cef][agent][registered_domain] wins
agentHostName ahost [agent][name]
agentId aid [agent][id]
agentMacAddress amac [agent][mac]
agentNtDomain - [cef][agent][registered_domain]
agentReceiptTime art [event][created] time
agentTimeZone atz [cef][agent][timezone]
agentTranslatedAddress - [cef][agent][nat][ip]
agentTranslatedZoneExternalID - [cef][agent][translated_zone][external_id]
agentTranslatedZoneURI - [cef][agent][translated_zone][uri]
agentType at [agent][type]
agentVersion av [agent][version]
agentZoneExternalID - [cef][agent][zone][external_id]
agentZoneURI - [cef][agent][zone][uri]
applicationProtocol app [network][protocol]
baseEventCount cnt [cef][base_event_count]
bytesIn in [source][bytes]
bytesOut out [destination][bytes]
categoryDeviceType catdt [cef][device_type]
customerExternalID - [organization][id]
customerURI - [organization][name]
destinationAddress dst [destination][ip]
destinationDnsDomain - [destination][registered_domain] wins
destinationGeoLatitude dlat [destination][geo][location][lat] was=destinationLatitude
destinationGeoLongitude dlong [destination][geo][location][lon] was=destinationLongitude
destinationHostName dhost [destination][domain]
destinationMacAddress dmac [destination][mac]
destinationNtDomain dntdom [destination][registered_domain]
destinationPort dpt [destination][port]
destinationProcessId dpid [destination][process][pid]
destinationProcessName dproc [destination][process][name]
destinationServiceName - [destination][service][name]
destinationTranslatedAddress - [destination][nat][ip]
destinationTranslatedPort - [destination][nat][port]
destinationTranslatedZoneExternalID - [cef][destination][translated_zone][external_id]
destinationTranslatedZoneURI - [cef][destination][translated_zone][uri]
destinationUserId duid [destination][user][id]
destinationUserName duser [destination][user][name]
destinationUserPrivileges dpriv [destination][user][group][name]
destinationZoneExternalID - [cef][destination][zone][external_id]
destinationZoneURI - [cef][destination][zone][uri]
deviceAction act [event][action]
deviceAddress dvc [device][ip]
deviceDirection - [network][direction]
deviceDnsDomain - [device][registered_domain] wins
deviceEventCategory cat [cef][category]
deviceExternalId - [host][id]|[observer][name]
deviceFacility - [log][syslog][facility][code]
deviceHostName dvchost [host][name]|[observer][hostname]
deviceInboundInterface - [observer][ingress][interface][name]
deviceMacAddress dvcmac [device][mac]
deviceNtDomain - [cef][nt_domain]
deviceOutboundInterface - [observer][egress][interface][name]
devicePayloadId - [cef][payload_id]
deviceProcessId dvcpid [process][pid]
deviceProcessName - [process][name]
deviceReceiptTime rt @timestamp time
deviceTimeZone dtz [event][timezone] was=destinationTimeZone
deviceTranslatedAddress - [host][nat][ip]
deviceTranslatedZoneExternalID - [cef][translated_zone][external_id]
deviceTranslatedZoneURI - [cef][translated_zone][uri]
deviceVersion - [observer][version]
deviceZoneExternalID - [cef][zone][external_id]
deviceZoneURI - [cef][zone][uri]
endTime end [event][end] time
eventId - [event][id]
eventOutcome outcome [event][outcome]
externalId - [cef][external_id]
fileCreateTime - [file][created]
fileHash - [file][hash]
fileId - [file][inode]
fileModificationTime - [file][mtime] time
fileName fname [file][name]
filePath - [file][path]
filePermission - [file][group]
fileSize fsize [file][size]
fileType - [file][extension]
managerReceiptTime mrt [event][ingested] time
message msg [message]
oldFileCreateTime - [cef][old_file][created] time
oldFileHash - [cef][old_file][hash]
oldFileId - [cef][old_file][inode]
oldFileModificationTime - [cef][old_file][mtime] time
oldFileName - [cef][old_file][name]
oldFilePath - [cef][old_file][path]
oldFilePermission - [cef][old_file][group]
oldFileSize - [cef][old_file][size]
oldFileType - [cef][old_file][extension]
rawEvent - [event][original]
Reason reason [event][reason]
requestClientApplication - [user_agent][original]
requestContext - [http][request][referrer]
requestCookies - [cef][request][cookies]
requestMethod - [http][request][method]
requestUrl request [url][original]
sourceAddress src [source][ip]
sourceDnsDomain - [source][registered_domain] wins
sourceGeoLatitude slat [source][geo][location][lat] was=sourceLatitude
sourceGeoLongitude slong [source][geo][location][lon] was=sourceLongitude
sourceHostName shost [source][domain]
sourceMacAddress smac [source][mac]
sourceNtDomain sntdom [source][registered_domain]
sourcePort spt [source][port]
sourceProcessId spid [source][process][pid]
sourceProcessName sproc [source][process][name]
sourceServiceName - [source][service][name]
sourceTranslatedAddress - [source][nat][ip]
sourceTranslatedPort - [source][nat][port]
sourceTranslatedZoneExternalID - [cef][source][translated_zone][external_id]
sourceTranslatedZoneURI - [cef][source][translated_zone][uri]
sourceUserId suid [source][user][id]
sourceUserName suser [source][user][name]
sourceUserPrivileges spriv [source][user][group][name]
sourceZoneExternalID - [cef][source][zone][external_id]
sourceZoneURI - [cef][source][zone][uri]
startTime start [event][start] time
transportProtocol proto [network][transport]
type - [cef][type]
`

// cefNumbered are fields that there are fifteen of each; # is the number.
const cefNumbered = `
deviceCustomFloatingPoint# cfp# [cef][device_custom_floating_point_#][value]
deviceCustomFloatingPoint#Label cfp#Label [cef][device_custom_floating_point_#][label]
deviceCustomIPv6Address# c6a# [cef][device_custom_ipv6_address_#][value]
deviceCustomIPv6Address#Label c6a#Label [cef][device_custom_ipv6_address_#][label]
deviceCustomNumber# cn# [cef][device_custom_number_#][value]
deviceCustomNumber#Label cn#Label [cef][device_custom_number_#][label]
deviceCustomString# cs# [cef][device_custom_string_#][value]
deviceCustomString#Label cs#Label [cef][device_custom_string_#][label]
`

// A cefMapping says which field a key is, and the other way round.
type cefMapping struct {
	fields map[string]string // of a key or a name
	keys   map[string]string // of a field
	times  []string          // the fields that are times, in their order
}

// newCEFMapping makes a mapping. With short, keys are written in their short form.
func newCEFMapping(schema bool, device string, short bool) *cefMapping {
	lines := strings.Split(strings.TrimSpace(cefNames), "\n")
	for n := 1; n <= 15; n++ {
		for line := range strings.SplitSeq(strings.TrimSpace(cefNumbered), "\n") {
			lines = append(lines, strings.ReplaceAll(line, "#", fmt.Sprint(n)))
		}
	}
	slices.SortStableFunc(lines, func(a, b string) int { // those that win come last
		return strings.Count(a, " wins") - strings.Count(b, " wins")
	})
	m := &cefMapping{fields: map[string]string{}, keys: map[string]string{}}
	for _, line := range lines {
		columns := strings.Fields(line)
		name, key, field := columns[0], columns[1], columns[2]
		if key == "-" {
			key = name
		}
		if forHost, forObserver, two := strings.Cut(field, "|"); two && device == "host" {
			field = forHost
		} else if two {
			field = forObserver
		}
		field = strings.Replace(field, "[device]", "["+device+"]", 1)
		if !schema {
			field = name
		}
		written := name
		if short {
			written = key
		}
		m.fields[key], m.fields[name] = field, field
		m.keys[field], m.keys[name] = written, written
		for _, flag := range columns[3:] {
			if flag == "time" && schema {
				m.times = append(m.times, field)
			}
			older, ok := strings.CutPrefix(flag, "was=")
			if !ok {
				continue
			}
			m.fields[older], m.keys[older] = field, older
			if !schema {
				m.fields[older] = older
			}
			if short {
				m.keys[older] = key
			}
		}
	}
	return m
}
