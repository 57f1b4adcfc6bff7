package config

import (
	"fmt"
	"os"

	"go.yaml.in/yaml/v3"
)

// WebUsers reports whether the web configuration file at path (the Prometheus
// exporter-toolkit's) asks visitors for a password or a certificate.
func WebUsers(path string) (bool, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("--web.config.file: %w", err)
	}
	var f struct {
		Users map[string]string `yaml:"basic_auth_users"`
		TLS   struct {
			ClientAuth string `yaml:"client_auth_type"`
		} `yaml:"tls_server_config"`
	}
	if err := yaml.Unmarshal(body, &f); err != nil {
		return false, fmt.Errorf("--web.config.file %s: %w", path, err)
	}
	return len(f.Users) > 0 || f.TLS.ClientAuth == "RequireAndVerifyClientCert", nil
}
