package regex

import (
	"strings"
	"sync"
	"unicode"
)

// POSIX brackets ([[:alpha:]]) and properties (\p{…}) as Onigmo defines them in its Unicode encodings
// (enc/unicode.c: CR_Alpha and so on).

var asciiSet = runeSet{0, 0x7f}

var (
	asciiDigit = setOf('0', '9')
	asciiHex   = setOf('0', '9', 'A', 'F', 'a', 'f')
	asciiSpace = setOf('\t', '\r', ' ', ' ')
	asciiWord  = setOf('0', '9', 'A', 'Z', 'a', 'z', '_', '_')
)

// posixSet gives the set of a POSIX bracket name; ok is false if there is no such name. With ascii it has no
// member beyond ASCII.
func posixSet(name string, ascii bool) (s runeSet, ok bool) {
	f, ok := posixSets[name]
	if !ok {
		return nil, false
	}
	if s = f(); ascii {
		s = s.and(asciiSet)
	}
	return s, true
}

var posixSets = map[string]func() runeSet{
	"alnum": sync.OnceValue(func() runeSet { return alphabetic().or(fromTable(unicode.Nd)) }),
	"alpha": alphabetic,
	"ascii": func() runeSet { return asciiSet },
	"blank": sync.OnceValue(func() runeSet { return fromTable(unicode.Zs).or(setOf('\t', '\t')) }),
	"cntrl": sync.OnceValue(func() runeSet { return fromTable(unicode.Cc) }),
	"digit": sync.OnceValue(func() runeSet { return fromTable(unicode.Nd) }),
	"graph": graphic,
	"lower": sync.OnceValue(func() runeSet { return fromTable(unicode.Ll, unicode.Other_Lowercase) }),
	"print": sync.OnceValue(func() runeSet { return graphic().or(fromTable(unicode.Zs)) }),
	"punct": sync.OnceValue(func() runeSet {
		return fromTable(unicode.P).or(setOf('$', '$', '+', '+', '<', '>', '^', '^', '`', '`', '|', '|', '~', '~'))
	}),
	"space":  sync.OnceValue(func() runeSet { return fromTable(unicode.White_Space) }),
	"upper":  sync.OnceValue(func() runeSet { return fromTable(unicode.Lu, unicode.Other_Uppercase) }),
	"xdigit": func() runeSet { return asciiHex },
	"word":   wordSet,
}

var alphabetic = sync.OnceValue(func() runeSet { return fromTable(unicode.L, unicode.Nl, unicode.Other_Alphabetic) })

// wordSet is what \b and [[:word:]] take for a part of a word.
var wordSet = sync.OnceValue(func() runeSet { return alphabetic().or(fromTable(unicode.M, unicode.Nd, unicode.Pc)) })

// assigned is what has a category in the tables of package unicode.
var assigned = sync.OnceValue(func() runeSet {
	return fromTable(unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.C)
})

var graphic = sync.OnceValue(func() runeSet {
	return fromTable(unicode.White_Space, unicode.Cc, unicode.Cs).or(assigned().not()).not()
})

// propertySet gives the set of a property's name, as \p{name} has it: case, spaces, - and _ do not matter.
func propertySet(name string) (runeSet, bool) {
	key := propertyKey(name)
	if f, ok := posixSets[key]; ok {
		return f(), true
	}
	s, ok := properties()[key]
	if !ok {
		return nil, false
	}
	return s(), true
}

func propertyKey(name string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "-", "", "_", "").Replace(name))
}

// longCategories are the names of general categories written out.
var longCategories = map[string]string{
	"other": "C", "control": "Cc", "format": "Cf", "privateuse": "Co", "surrogate": "Cs",
	"letter": "L", "casedletter": "LC", "lowercaseletter": "Ll", "modifierletter": "Lm", "otherletter": "Lo", "titlecaseletter": "Lt",
	"uppercaseletter": "Lu", "mark": "M", "combiningmark": "M", "spacingmark": "Mc", "enclosingmark": "Me", "nonspacingmark": "Mn",
	"number": "N", "decimalnumber": "Nd", "letternumber": "Nl", "othernumber": "No",
	"punctuation": "P", "connectorpunctuation": "Pc", "dashpunctuation": "Pd", "closepunctuation": "Pe", "finalpunctuation": "Pf",
	"initialpunctuation": "Pi", "otherpunctuation": "Po", "openpunctuation": "Ps",
	"symbol": "S", "currencysymbol": "Sc", "modifiersymbol": "Sk", "mathsymbol": "Sm", "othersymbol": "So",
	"separator": "Z", "lineseparator": "Zl", "paragraphseparator": "Zp", "spaceseparator": "Zs",
}

var properties = sync.OnceValue(func() map[string]func() runeSet {
	out := map[string]func() runeSet{}
	add := func(tables map[string]*unicode.RangeTable) {
		for name, t := range tables {
			out[propertyKey(name)] = func() runeSet { return fromTable(t) }
		}
	}
	add(unicode.Properties)
	add(unicode.Scripts)
	add(unicode.Categories)
	category := func(short string) func() runeSet {
		switch short {
		case "LC":
			return func() runeSet { return fromTable(unicode.Lu, unicode.Ll, unicode.Lt) }
		case "C":
			return func() runeSet { return fromTable(unicode.C).or(assigned().not()) }
		}
		return func() runeSet { return fromTable(unicode.Categories[short]) }
	}
	for long, short := range longCategories {
		out[long] = category(short)
	}
	out["c"], out["lc"] = category("C"), category("LC")
	out["cn"] = func() runeSet { return assigned().not() }
	out["unassigned"] = out["cn"]
	out["any"] = func() runeSet { return runeSet{0, lastRune} }
	out["assigned"] = assigned
	out["alphabetic"] = alphabetic
	out["lowercase"] = posixSets["lower"]
	out["uppercase"] = posixSets["upper"]
	out["whitespace"] = posixSets["space"]
	return out
})
