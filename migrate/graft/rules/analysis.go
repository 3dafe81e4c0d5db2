package rules

import (
	"fmt"
	"strings"

	"github.com/narudata/naru/format/tree"
)

var analysisRules = []Rule{
	{"analysis-type", "An analyzer, tokenizer, filter or normalizer of a type that is on no list is refused", "The index could not be opened."},
	{"analysis-plugin", "What a plugin of OpenSearch's release provides needs that plugin", "The index cannot be opened without."},
	{"analysis-name", "An analyzer, normalizer or similarity that is used and not defined is refused", "The index could not be opened."},
	{"analysis-file", "Words and synonyms that are kept in files must be on every node", "The files are no part of a snapshot; the index cannot be opened without."},
	{"analysis-synonyms-set", "A filter with a set of synonyms that the cluster keeps is refused", "OpenSearch has no such sets."},
	{"analysis-stemmer", "A stemmer of a language that the target does not have is refused", "The index could not be opened."},
	{"similarity-type", "A similarity of a type that is on no list is refused", "The index could not be opened."},
}

// builtIn are what OpenSearch provides, by kind: types, which may be used as names too. Source: the maps of
// CommonAnalysisPlugin (CommonAnalysisModulePlugin in OpenSearch 3) and AnalysisModule of 1.3.14, 2.0.0, 2.9.0, 2.19.5 and 3.8.0.
var builtIn = map[string]map[string]bool{
	"analyzer": set(`custom default standard simple stop whitespace keyword classic pattern snowball fingerprint
		arabic armenian basque bengali brazilian bulgarian catalan chinese cjk czech danish dutch english estonian finnish french
		galician german greek hindi hungarian indonesian irish italian latvian lithuanian norwegian persian portuguese romanian
		russian sorani spanish swedish thai turkish`),
	"tokenizer": set(`standard PathHierarchy path_hierarchy char_group classic edgeNGram edge_ngram keyword letter lowercase nGram
		ngram pattern simple_pattern simple_pattern_split thai uax_url_email whitespace`),
	"filter": set(`standard stop shingle hunspell lowercase apostrophe arabic_normalization arabic_stem asciifolding
		bengali_normalization brazilian_stem cjk_bigram cjk_width classic common_grams concatenate_graph condition czech_stem
		decimal_digit delimited_payload dictionary_decompounder dutch_stem edgeNGram edge_ngram elision fingerprint flatten_graph
		french_stem german_normalization german_stem hindi_normalization hyphenation_decompounder indic_normalization keep keep_types
		keyword_marker keyword_repeat kstem length limit min_hash multiplexer nGram ngram pattern_capture pattern_replace
		persian_normalization porter_stem predicate_token_filter remove_duplicates reverse russian_stem scandinavian_folding
		scandinavian_normalization serbian_normalization snowball sorani_normalization stemmer stemmer_override synonym
		synonym_graph trim truncate type_as_payload unique uppercase word_delimiter word_delimiter_graph`),
	"char_filter": set("html_strip mapping pattern_replace"),
	"normalizer":  set("custom lowercase"),
	"similarity":  set("BM25 boolean DFR IB LMDirichlet LMJelinekMercer DFI scripted"),
}

// builtInFrom are those that not all targets have.
var builtInFrom = map[string]Target{"filter persian_stem": {2, 19}, "filter delimited_term_freq": {2, 19}}

// builtInOne are those that OpenSearch 1 has only.
var builtInOne = set("analyzer/standard_html_strip filter/delimited_payload_filter char_filter/htmlStrip")

// fromPlugin are what the analysis plugins of OpenSearch's release provide, by kind and name.
var fromPlugin = map[string]map[string]string{
	"analyzer": {
		"icu_analyzer": "analysis-icu", "kuromoji": "analysis-kuromoji", "nori": "analysis-nori", "smartcn": "analysis-smartcn",
		"polish": "analysis-stempel", "ukrainian": "analysis-ukrainian",
	},
	"tokenizer": {
		"icu_tokenizer": "analysis-icu", "kuromoji_tokenizer": "analysis-kuromoji", "nori_tokenizer": "analysis-nori",
		"smartcn_tokenizer": "analysis-smartcn",
	},
	"filter": {
		"icu_normalizer": "analysis-icu", "icu_folding": "analysis-icu", "icu_collation": "analysis-icu", "icu_transform": "analysis-icu",
		"kuromoji_baseform": "analysis-kuromoji", "kuromoji_part_of_speech": "analysis-kuromoji", "kuromoji_readingform": "analysis-kuromoji",
		"kuromoji_stemmer": "analysis-kuromoji", "kuromoji_number": "analysis-kuromoji", "ja_stop": "analysis-kuromoji",
		"nori_part_of_speech": "analysis-nori", "nori_readingform": "analysis-nori", "nori_number": "analysis-nori",
		"smartcn_stop": "analysis-smartcn", "polish_stem": "analysis-stempel", "polish_stop": "analysis-stempel",
		"phonetic": "analysis-phonetic",
	},
	"char_filter": {"icu_normalizer": "analysis-icu", "kuromoji_iteration_mark": "analysis-kuromoji"},
}

// stemmers are the languages of the filter stemmer. Source: StemmerTokenFilterFactory of OpenSearch 1.3.14.
var stemmers = set(`arabic armenian basque bengali brazilian bulgarian catalan czech danish dutch dutchkp dutch_kp english estonian
	finnish french galician german german2 greek hindi hungarian indonesian irish italian kp kstem latvian lightenglish
	lightfinish lightfinnish lightfrench lightgerman lighthungarian lightitalian lightnorwegian lightnynorsk lightportuguese
	lightrussian lightspanish lightswedish light_english light_finish light_finnish light_french light_german light_hungarian
	light_italian light_norwegian light_nynorsk light_portuguese light_russian light_spanish light_swedish lithuanian lovins
	minimalenglish minimalfrench minimalgerman minimalnorwegian minimalnynorsk minimalportuguese minimal_english minimal_french
	minimal_galician minimal_german minimal_norwegian minimal_nynorsk minimal_portuguese norwegian porter porter2 portuguese
	portuguese_rslp possessiveenglish possessive_english romanian russian sorani spanish swedish turkish`)

// provides reports whether a target has a built-in of a kind, itself or by a plugin.
func (t Target) provides(kind, name string) (plugin string, ok bool) {
	if builtIn[kind][name] {
		return "", true
	}
	if from, later := builtInFrom[kind+" "+name]; later && t.since(from.Major, from.Minor) {
		return "", true
	}
	if builtInOne[kind+"/"+name] && t.Major == 1 {
		return "", true
	}
	plugin, ok = fromPlugin[kind][name]
	return plugin, ok
}

// defined gives what settings define of a kind: name → its own settings, in order.
func defined(settings tree.Object, kind string) []tree.Member {
	prefix := "index.analysis." + kind + "."
	if kind == "similarity" {
		prefix = "index.similarity."
	}
	var out tree.Object
	for _, s := range settings {
		rest, ok := strings.CutPrefix(s.Name, prefix)
		if !ok {
			continue
		}
		name, param, _ := strings.Cut(rest, ".")
		own := out.Object(name)
		own.Set(param, s.Value)
		out.Set(name, own)
	}
	return out
}

// analysis judges the analysis and similarities that flat settings define.
func (t Target) analysis(settings tree.Object, c created, at string, v *Verdict) {
	for _, kind := range []string{"analyzer", "normalizer", "tokenizer", "filter", "char_filter", "similarity"} {
		for _, d := range defined(settings, kind) {
			own, _ := d.Value.(tree.Object)
			t.definition(settings, c, kind, own, at+kind+" "+d.Name, v)
		}
	}
}

func (t Target) definition(settings tree.Object, c created, kind string, own tree.Object, where string, v *Verdict) {
	typ := own.Text("type")
	if typ == "" && (kind == "analyzer" || kind == "normalizer") {
		typ = "custom"
	}
	plugin, ok := t.provides(kind, typ)
	switch {
	case plugin != "":
		v.plugin(plugin)
	case kind == "similarity" && typ == "classic" && !c.openSearch && c.major < 7:
	case kind == "similarity" && !ok:
		v.refuse("similarity-type", where, fmt.Sprintf("OpenSearch %s has no similarity %q", t, typ), "")
	case !ok:
		v.refuse("analysis-type", where, fmt.Sprintf("OpenSearch %s has no %s of the type %q", t, strings.ReplaceAll(kind, "_", " "), typ), "")
	}
	for _, p := range own {
		switch {
		case p.Name == "synonyms_set":
			v.refuse("analysis-synonyms-set", where, "the set of synonyms is kept by the cluster", "")
		case strings.HasSuffix(p.Name, "_path"):
			v.change("analysis-file", where+": "+p.Name, "kept", fmt.Sprintf("the file %q must be in the configuration folder of every node before the restore", tree.Text(p.Value)))
		case typ == "stemmer" && (p.Name == "language" || p.Name == "name"):
			if lang := strings.ToLower(tree.Text(p.Value)); !stemmers[lang] && (lang != "persian" && lang != "plural_english" && lang != "pluralenglish" || !t.since(2, 19)) {
				v.refuse("analysis-stemmer", where, fmt.Sprintf("OpenSearch %s has no stemmer for %q", t, lang), "")
			}
		}
		if typ != "custom" || kind != "analyzer" && kind != "normalizer" {
			continue
		}
		used, _, _ := strings.Cut(p.Name, ".") // a list may be spread: filter.0, filter.1
		switch used {
		case "tokenizer", "filter", "char_filter":
			for _, n := range texts(p.Value) {
				t.named(settings, c, used, n, where+": "+used, v)
			}
		}
	}
}

// texts gives the strings of a list, or those that commas divide.
func texts(v any) []string {
	var out []string
	if list, ok := v.([]any); ok {
		for _, e := range list {
			out = append(out, tree.Text(e))
		}
		return out
	}
	for s := range strings.SplitSeq(tree.Text(v), ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// named refuses a name of a kind that neither the settings define nor the target provides.
func (t Target) named(settings tree.Object, c created, kind, name, where string, v *Verdict) {
	if (tree.Object)(defined(settings, kind)).Has(name) || name == "" {
		return
	}
	if kind == "similarity" && (name == "default" || name == "classic" && !c.openSearch && c.major < 7) {
		return
	}
	plugin, ok := t.provides(kind, name)
	if !ok {
		v.refuse("analysis-name", where, fmt.Sprintf("the %s %q is neither defined nor one of OpenSearch's", strings.ReplaceAll(kind, "_", " "), name), "")
	} else if plugin != "" {
		v.plugin(plugin)
	}
}
