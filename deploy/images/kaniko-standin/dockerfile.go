package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// An instruction of a Dockerfile: its word in upper case, the rest as written, the line it starts on.
type instruction struct {
	word string
	rest string
	line int
}

func cutPrefix(s, prefix string) (string, bool) {
	if strings.HasPrefix(s, prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

func parseDockerfile(path string) ([]instruction, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the Dockerfile: %v", err)
	}
	var out []instruction
	var text string
	start := 0
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimRight(line, "\r")
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "#") || (trimmed == "" && text == "") {
			continue
		}
		if text == "" {
			start = i + 1
		}
		body := strings.TrimRight(line, " \t")
		if strings.HasSuffix(body, "\\") {
			text += body[:len(body)-1]
			continue
		}
		text += line
		if out, err = appendInstruction(out, text, start); err != nil {
			return nil, err
		}
		text = ""
	}
	if text != "" {
		return appendInstruction(out, text, start)
	}
	return out, nil
}

func appendInstruction(out []instruction, text string, line int) ([]instruction, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return out, nil
	}
	word, rest := text, ""
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		word, rest = text[:i], strings.TrimSpace(text[i:])
	}
	if rest == "" {
		return nil, fmt.Errorf("Dockerfile:%d: %s needs an argument", line, word)
	}
	return append(out, instruction{strings.ToUpper(word), rest, line}), nil
}

// jsonArray reads the exec form: ["a","b"].
func jsonArray(s string) ([]string, bool) {
	var list []string
	if !strings.HasPrefix(s, "[") || json.Unmarshal([]byte(s), &list) != nil {
		return nil, false
	}
	return list, true
}

var variable = regexp.MustCompile(`\\\$|\$\{(\w+)(?:(:[-+])([^}]*))?\}|\$(\w+)`)

// expand replaces $NAME, ${NAME}, ${NAME:-default} and ${NAME:+other}; \$ stays a dollar.
func expand(s string, value func(string) string) string {
	return variable.ReplaceAllStringFunc(s, func(match string) string {
		if match == `\$` {
			return "$"
		}
		m := variable.FindStringSubmatch(match)
		if m[4] != "" {
			return value(m[4])
		}
		v := value(m[1])
		if m[2] == ":-" && v == "" || m[2] == ":+" && v != "" {
			return m[3]
		}
		return v
	})
}

// words splits at blanks outside quotes, and removes the quotes.
func words(s string) []string {
	var out []string
	var word strings.Builder
	var quote byte
	inside := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(s) && s[i+1] != '$':
			i++
			word.WriteByte(s[i])
			inside = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, inside = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if inside {
				out = append(out, word.String())
				word.Reset()
				inside = false
			}
		default:
			word.WriteByte(c)
			inside = true
		}
	}
	if inside {
		out = append(out, word.String())
	}
	return out
}

// pairs reads NAME=VALUE ..., or the old form NAME VALUE.
func pairs(s string) ([][2]string, error) {
	list := words(s)
	if len(list) == 0 {
		return nil, fmt.Errorf("a name is missing")
	}
	if !strings.Contains(list[0], "=") {
		name, value := list[0], ""
		if i := strings.IndexAny(s, " \t"); i >= 0 {
			value = strings.TrimSpace(s[i:])
		}
		return [][2]string{{name, value}}, nil
	}
	var out [][2]string
	for _, w := range list {
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not NAME=VALUE", w)
		}
		out = append(out, [2]string{name, value})
	}
	return out, nil
}

// globPattern turns a pattern of .dockerignore into a regular expression for slash-separated paths.
func globPattern(pattern string) (*regexp.Regexp, error) {
	var re strings.Builder
	re.WriteString("^")
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case strings.HasPrefix(pattern[i:], "**/"):
			re.WriteString("(.*/)?")
			i += 2
		case strings.HasPrefix(pattern[i:], "**"):
			re.WriteString(".*")
			i++
		case c == '*':
			re.WriteString("[^/]*")
		case c == '?':
			re.WriteString("[^/]")
		default:
			re.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	re.WriteString("(/.*)?$")
	return regexp.Compile(re.String())
}

type ignoreRule struct {
	re   *regexp.Regexp
	keep bool
}

func readIgnore(path string) ([]ignoreRule, error) {
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var rules []ignoreRule
	for _, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		pattern, keep := cutPrefix(line, "!")
		pattern = strings.Trim(strings.TrimPrefix(strings.TrimSpace(pattern), "./"), "/")
		re, err := globPattern(pattern)
		if err != nil {
			return nil, fmt.Errorf(".dockerignore: %q: %v", line, err)
		}
		rules = append(rules, ignoreRule{re, keep})
	}
	return rules, nil
}

// ignored: the last rule that matches decides.
func ignored(rules []ignoreRule, rel string) bool {
	out := false
	for _, r := range rules {
		if r.re.MatchString(rel) {
			out = !r.keep
		}
	}
	return out
}
