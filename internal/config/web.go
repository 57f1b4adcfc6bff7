package config

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"
)

// WebAccess is how a web configuration file (the Prometheus exporter-toolkit's)
// tells visitors apart.
type WebAccess struct {
	Users        []string // who have a password
	Certificates bool     // a client certificate is wanted of everybody
}

// Asks reports whether visitors are asked who they are.
func (w WebAccess) Asks() bool { return len(w.Users) > 0 || w.Certificates }

// ReadWebAccess reads who the web configuration file at path lets in. It does not check the
// rest of the file, which the server that serves by it does. Errors name the flag and the file.
func ReadWebAccess(path string) (WebAccess, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return WebAccess{}, fmt.Errorf("--web.config.file: %w", err)
	}
	var file struct {
		Users map[string]string `yaml:"basic_auth_users"`
		TLS   struct {
			ClientAuth string `yaml:"client_auth_type"`
		} `yaml:"tls_server_config"`
	}
	if err := yaml.Unmarshal(body, &file); err != nil {
		return WebAccess{}, fmt.Errorf("--web.config.file %s: %w", path, err)
	}
	return WebAccess{slices.Sorted(maps.Keys(file.Users)), file.TLS.ClientAuth == "RequireAndVerifyClientCert"}, nil
}
