// Package terraform is the configuration of shenscan's RAM role and policy, and
// the test that reads it with HashiCorp's own parser. It holds no code.
package terraform
