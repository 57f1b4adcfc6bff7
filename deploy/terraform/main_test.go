package terraform

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

func body(t *testing.T) *hclsyntax.Body {
	t.Helper()
	file, diags := hclparse.NewParser().ParseHCLFile("main.tf")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return file.Body.(*hclsyntax.Body)
}

func TestConfigurationIsReadAndFormatted(t *testing.T) {
	text, err := os.ReadFile("main.tf")
	if err != nil {
		t.Fatal(err)
	}
	if formatted := hclwrite.Format(text); !bytes.Equal(formatted, text) {
		t.Error("terraform fmt would change main.tf")
	}
	// Every reference to a variable, local or resource has its declaration.
	declared := map[string]bool{"path.module": true}
	for _, b := range body(t).Blocks {
		switch b.Type {
		case "variable":
			declared["var."+b.Labels[0]] = true
		case "locals":
			for name := range b.Body.Attributes {
				declared["local."+name] = true
			}
		case "resource":
			declared[b.Labels[0]+"."+b.Labels[1]] = true
		}
	}
	used := 0
	diags := hclsyntax.VisitAll(body(t), func(n hclsyntax.Node) hcl.Diagnostics {
		e, ok := n.(*hclsyntax.ScopeTraversalExpr)
		if !ok || len(e.Traversal) < 2 {
			return nil
		}
		step, ok := e.Traversal[1].(hcl.TraverseAttr)
		if !ok {
			return nil
		}
		used++
		if name := e.Traversal.RootName() + "." + step.Name; !declared[name] {
			t.Errorf("%s is declared nowhere", name)
		}
		return nil
	})
	if diags.HasErrors() || used < 15 {
		t.Errorf("%d references were found: %v", used, diags)
	}
}

// The trust policies are JSON that names exactly one principal, and the pods'
// one names their ServiceAccount.
func TestTrustPoliciesNameOnePrincipal(t *testing.T) {
	variables := cty.ObjectVal(map[string]cty.Value{
		"oidc_provider_arn": cty.StringVal("acs:ram::1:oidc-provider/ack-rrsa-c"), "oidc_issuer": cty.StringVal("https://oidc.example.com/c"),
		"service_account": cty.StringVal("shenscan:shenscan"), "trusted_account": cty.StringVal("1234567890123456"),
	})
	context := &hcl.EvalContext{
		Variables: map[string]cty.Value{"var": variables},
		Functions: map[string]function.Function{"jsonencode": stdlib.JSONEncodeFunc},
	}
	for _, b := range body(t).Blocks {
		if b.Type != "locals" {
			continue
		}
		for name, want := range map[string]string{"from_pods": `"system:serviceaccount:shenscan:shenscan"`, "from_account": `"acs:ram::1234567890123456:root"`} {
			value, diags := b.Body.Attributes[name].Expr.Value(context)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			var policy struct {
				Version   string
				Statement []struct{ Action, Effect string }
			}
			if err := json.Unmarshal([]byte(value.AsString()), &policy); err != nil || policy.Version != "1" || len(policy.Statement) != 1 ||
				policy.Statement[0].Action != "sts:AssumeRole" || !strings.Contains(value.AsString(), want) {
				t.Errorf("%s: %v: %s", name, err, value.AsString())
			}
		}
		return
	}
	t.Error("there are no trust policies")
}

// What is granted is the file that everything else speaks of, and reads alone.
func TestPolicyIsTheOneOfTheGuide(t *testing.T) {
	text, err := os.ReadFile("main.tf")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `file("${path.module}/../ram-policy.json")`) {
		t.Error("main.tf grants another policy than deploy/ram-policy.json")
	}
	granted, err := os.ReadFile("../ram-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Statement []struct{ Action []string }
	}
	if err := json.Unmarshal(granted, &policy); err != nil || len(policy.Statement) == 0 {
		t.Fatal(err, string(granted))
	}
	for _, s := range policy.Statement {
		if slices.ContainsFunc(s.Action, func(a string) bool { return !strings.HasPrefix(a, "ecs:Describe") }) {
			t.Errorf("more than reading ECS is granted: %v", s.Action)
		}
	}
}
