package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

var (
	promptName   = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	argumentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)
	iconSize     = regexp.MustCompile(`^(any|[0-9]+x[0-9]+)$`)
)

// maxMedia bounds an image or sound of a prompt.
const maxMedia = 4 << 20

// validateOffers finds what is wrong with what a server has beside tools, as
// far as no document and no file has to be read for it.
func (s Server) validateOffers(fs *Faults, path string) {
	validateIcons(fs, path+".icons", s.Icons)
	if u, err := url.Parse(s.WebsiteURL); s.WebsiteURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		fs.add(path+".websiteURL", "for example https://wiki.example.com/agents", "expected an http or https URL, got %q", s.WebsiteURL)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Prompts)) {
		at := path + ".prompts." + name
		if !promptName.MatchString(name) {
			fs.add(at, "", "prompt name %q does not match %s", name, promptName)
		}
		s.Prompts[name].validate(fs, at)
	}
	seen := map[string]bool{}
	for i, r := range s.Resources {
		r.validate(fs, fmt.Sprintf("%s.resources[%d]", path, i), seen)
	}
}

func validateIcons(fs *Faults, path string, icons []Icon) {
	for i, icon := range icons {
		at := fmt.Sprintf("%s[%d]", path, i)
		if u, err := url.Parse(icon.Src); err != nil || (u.Scheme != "https" || u.Host == "" || u.User != nil) && !strings.HasPrefix(icon.Src, "data:image/") {
			fs.add(at+".src", "for example https://example.com/icon.svg", "expected an https or data:image URL, got %q", clip(icon.Src))
		}
		for _, size := range icon.Sizes {
			if !iconSize.MatchString(size) {
				fs.add(at+".sizes", "for example 48x48, or any", "%q is not a size", size)
			}
		}
		if icon.Theme != "" {
			oneOf(fs, at+".theme", icon.Theme, "light", "dark")
		}
	}
}

func clip(s string) string { return s[:min(len(s), 60)] }

func (p Prompt) validate(fs *Faults, path string) {
	var names []string
	for i, a := range p.Arguments {
		at := fmt.Sprintf("%s.arguments[%d]", path, i)
		switch {
		case !argumentName.MatchString(a.Name):
			fs.add(at+".name", "", "argument name %q does not match %s", a.Name, argumentName)
		case slices.Contains(names, a.Name):
			fs.add(at+".name", "", "argument %q is there twice", a.Name)
		case a.Ask && !a.Required:
			fs.add(at+".ask", "required: true", "argument %q is not required, so nobody would be asked for it", a.Name)
		}
		names = append(names, a.Name)
	}
	if len(p.Messages) == 0 {
		fs.add(path, `messages: [{role: user, text: "…"}]`, "prompt has no message")
	}
	used := map[string]bool{}
	for i, m := range p.Messages {
		m.validate(fs, fmt.Sprintf("%s.messages[%d]", path, i), names, used)
	}
	for i, name := range names {
		if !used[name] && len(p.Messages) > 0 && argumentName.MatchString(name) {
			fs.add(fmt.Sprintf("%s.arguments[%d]", path, i), "write {"+name+"} where it belongs", "argument %q is used nowhere", name)
		}
	}
}

func (m PromptMessage) validate(fs *Faults, path string, names []string, used map[string]bool) {
	if m.Role != "" {
		oneOf(fs, path+".role", m.Role, "user", "assistant")
	}
	kinds := 0
	for _, is := range []bool{m.Text != "", m.Resource != "", m.Image.given(), m.Audio.given()} {
		if is {
			kinds++
		}
	}
	if kinds != 1 {
		fs.add(path, "", "needs one of text, resource, image and audio")
	}
	for _, template := range []struct{ key, text string }{{"text", m.Text}, {"resource", m.Resource}} {
		at := path + "." + template.key
		parsed, err := registry.ParseText(template.text)
		if err != nil {
			fs.add(at, "braces that are no argument are written {{ and }}", "%v", err)
			continue
		}
		for _, name := range parsed.Names() {
			if used[name] = true; !slices.Contains(names, name) {
				fs.add(at, suggest.Hint(name, names), "prompt has no argument %q", name)
			}
		}
	}
}

func (m PromptMedia) given() bool { return m.File != "" || m.Data != nil || m.MIMEType != "" }

func (r Resource) validate(fs *Faults, path string, seen map[string]bool) {
	switch uri := cmp.Or(r.URI, r.URITemplate); {
	case (r.URI == "") == (r.URITemplate == ""):
		fs.add(path, "", "needs either uri or uriTemplate")
	case seen[uri]:
		fs.add(path, "", "%q is there twice", uri)
	default:
		seen[uri] = true
	}
	if r.URI != "" {
		if err := registry.CheckURI(r.URI); err != nil {
			fs.add(path+".uri", "for example docs://intro", "%v", err)
		}
	}
	if r.URITemplate != "" {
		if _, err := registry.ParseURITemplate(r.URITemplate); err != nil {
			fs.add(path+".uriTemplate", "for example tickets://{id}", "%v", err)
		}
	}
	if r.Name == "" {
		fs.add(path, "", "needs a name")
	}
	if r.Action == "" {
		fs.add(path, `for example "billing:get-invoice"`, "needs an action")
	}
}

// prompts says the server's prompts in the registry's words, files read.
func (s Server) prompts(faults *Faults, path string, known Faults) (out []registry.Prompt) {
	for _, name := range slices.Sorted(maps.Keys(s.Prompts)) {
		at := path + "." + name
		if known.about(at) {
			continue
		}
		p := s.Prompts[name]
		prompt := registry.Prompt{Path: at, Name: name, Title: p.Title, Description: p.Description}
		for _, a := range p.Arguments {
			prompt.Arguments = append(prompt.Arguments, registry.PromptArgument{
				Name: a.Name, Title: a.Title, Description: a.Description, Required: a.Required, Ask: a.Ask, Enum: a.Enum,
			})
		}
		for i, m := range p.Messages {
			message, err := m.read()
			if err != nil {
				faults.add(fmt.Sprintf("%s.messages[%d]", at, i), "", "%v", err)
			}
			prompt.Messages = append(prompt.Messages, message)
		}
		out = append(out, prompt)
	}
	return out
}

// read makes the message ready, whose templates are known to be right.
func (m PromptMessage) read() (registry.PromptMessage, error) {
	message := registry.PromptMessage{Role: cmp.Or(m.Role, "user")}
	var err error
	switch {
	case m.Image.given():
		message.Media, err = m.Image.read("image")
	case m.Audio.given():
		message.Media, err = m.Audio.read("audio")
	case m.Resource != "":
		var text registry.Text
		text, err = registry.ParseText(m.Resource)
		message.Resource = &text
	default:
		var text registry.Text
		text, err = registry.ParseText(m.Text)
		message.Text = &text
	}
	return message, err
}

func (m PromptMedia) read(family string) (*registry.PromptMedia, error) {
	data, err := m.content()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", family, m.File, err)
	case len(data) == 0:
		return nil, fmt.Errorf("%s %s is empty", family, m.File)
	case len(data) > maxMedia:
		return nil, fmt.Errorf("%s %s is larger than %d MiB", family, m.File, maxMedia>>20)
	}
	mediaType := cmp.Or(m.MIMEType, http.DetectContentType(data))
	if !strings.HasPrefix(mediaType, family+"/") {
		return nil, fmt.Errorf("%s %s looks like %q; if it is not, say its mimeType", family, m.File, mediaType)
	}
	return &registry.PromptMedia{Type: family, MIMEType: mediaType, Data: data}, nil
}

// content is the data, of which it never reads more than one byte too many.
func (m PromptMedia) content() ([]byte, error) {
	if m.Data != nil {
		return m.Data, nil
	}
	info, err := os.Stat(m.File)
	var cause *fs.PathError
	switch {
	case errors.As(err, &cause):
		return nil, cause.Err
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // opening a pipe would wait for its other end
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(m.File)
	if errors.As(err, &cause) {
		return nil, cause.Err
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxMedia+1))
}

// resources says the server's resources in the registry's words.
func (s Server) resources(path string, known Faults) (out []registry.ResourceSpec) {
	for i, r := range s.Resources {
		at := fmt.Sprintf("%s[%d]", path, i)
		if known.about(at) {
			continue
		}
		spec := registry.ResourceSpec{
			Path: at, URI: r.URI, URITemplate: r.URITemplate, Name: r.Name, Title: r.Title, Description: r.Description,
			MIMEType: r.MIMEType, Action: r.Action, Arguments: map[string]string{},
		}
		for name, value := range r.Arguments {
			spec.Arguments[name] = string(value)
		}
		out = append(out, spec)
	}
	return out
}

func icons(in []Icon) (out []registry.Icon) {
	for _, icon := range in {
		out = append(out, registry.Icon(icon))
	}
	return out
}
