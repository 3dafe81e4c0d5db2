package filter

import "testing"

func TestRubyRunsItsCodeAndTagsWhatFails(t *testing.T) {
	expectAll(t, ECSDisabled, []change{
		{`ruby { code => "event.set('b', event.get('a').uniq)" add_tag => ["ok"] }`, `{"a":[1,1,2]}`, []string{`{"a":[1,1,2],"b":[1,2],"tags":["ok"]}`}},
		{`ruby { code => "event.set('b', event.get('x').uniq)" add_tag => ["ok"] }`, `{"a":1}`, []string{`{"a":1,"tags":["_rubyexception"]}`}},
		{`ruby { code => "raise 'no'" tag_on_exception => "bad" tag_with_exception_message => true }`, `{}`, []string{`{"tags":["bad: no","bad"]}`}},
		{`ruby { init => "@n = {'x' => 1}" code => "event.set('n', @n[event.get('k')])" }`, `{"k":"x"}`, []string{`{"k":"x","n":1}`}},
		{`ruby { code => "event.cancel if event.get('k') == 'x'" }`, `{"k":"x"}`, nil},
		{`ruby { code => "loop { }" }`, `{}`, []string{`{"tags":["_rubyexception"]}`}},
	})
}
