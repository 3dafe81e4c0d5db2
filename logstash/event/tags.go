package event

import "slices"

func legalTags(v Value) bool {
	switch v.kind {
	case String:
		return true
	case List:
		for i := range v.node.list {
			if v.node.list[i].kind != String {
				return false
			}
		}
		return true
	default:
		return false
	}
}

// tagList gives tags as a list of its own that may be appended to; room is for how many more.
func (e *Event) tagList() *node {
	i := e.data.find(fieldTags, markTags)
	if i >= 0 && e.data.entries[i].Value.kind == List {
		return e.data.entries[i].Value.node
	}
	list := e.arena.node()
	if i >= 0 && !e.data.entries[i].Value.Nil() {
		list.list = append(list.list, e.data.entries[i].Value)
	}
	*e.data.place(fieldTags, markTags) = Value{kind: List, node: list}
	return list
}

// Tag adds a tag that is not there yet (event.tag). A text in tags becomes a list.
func (e *Event) Tag(tag string) {
	if e.HasTag(tag) {
		return
	}
	list := e.tagList()
	list.list = append(list.list, StringValue(tag))
}

// AddTag adds a tag, be it there or not (the option add_tag).
func (e *Event) AddTag(tag string) {
	list := e.tagList()
	list.list = append(list.list, StringValue(tag))
}

// RemoveTag removes all tags that are equal (the option remove_tag). Without tags there are none afterwards; a text in tags
// becomes a list, which may be empty.
func (e *Event) RemoveTag(tag string) {
	if v := e.GetField(fieldTags); v.Nil() {
		return
	}
	list := e.tagList()
	list.list = slices.DeleteFunc(list.list, func(v Value) bool { return v.kind == String && v.s == tag })
}

// HasTag reports that there is a tag.
func (e *Event) HasTag(tag string) bool {
	v := e.GetField(fieldTags)
	switch v.kind {
	case String:
		return v.s == tag
	case List:
		return slices.ContainsFunc(v.node.list, func(v Value) bool { return v.kind == String && v.s == tag })
	default:
		return false
	}
}

// Tags gives the tags; nil if there are none.
func (e *Event) Tags() []string {
	v := e.GetField(fieldTags)
	switch v.kind {
	case String:
		return []string{v.s}
	case List:
		tags := make([]string, len(v.node.list))
		for i := range v.node.list {
			tags[i] = v.node.list[i].Text()
		}
		return tags
	default:
		return nil
	}
}
