package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/packages"
)

// mutant is one change of one place.
type mutant struct {
	id                   int
	file                 string
	line, column         int
	kind, function, text string
	dropped              bool // it does not compile
	reached              bool // a test of some folder gets there
}

// key finds a change again after lines moved. The text of a change says which
// one it is where a function has several alike.
func (m *mutant) key() string { return m.function + "\t" + m.kind + "\t" + m.text }

// edit replaces n bytes at a place. Of edits at one place, the one with the
// lower rank comes first.
type edit struct {
	at, n, rank int
	text        string
	mutants     []*mutant // it is left out where all of them are dropped
}

// source is a package whose changes are found.
type source struct {
	dir, path, name string
	mutants         []*mutant
	texts           map[string][]byte
	edits           map[string][]edit
	alike           map[string]int // how many changes have a function, a kind and a text
}

// load finds the changes of a package.
func load(dir, only string) (*source, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	wanted, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	cfg := &packages.Config{Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports, Dir: dir}
	list, err := packages.Load(cfg, ".")
	if err != nil || len(list) != 1 || len(list[0].Errors) > 0 {
		return nil, fmt.Errorf("load %s: %v %v", dir, err, list)
	}
	pkg := list[0]
	out := &source{dir: dir, path: pkg.PkgPath, name: pkg.Name, texts: map[string][]byte{}, edits: map[string][]edit{}, alike: map[string]int{}}
	for _, file := range pkg.Syntax {
		path := pkg.Fset.File(file.Pos()).Name()
		if strings.HasSuffix(path, "_test.go") || !wanted.MatchString(filepath.Base(path)) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f := &finder{out: out, pkg: pkg, file: filepath.Base(path), text: text}
		out.texts[f.file] = text
		for _, decl := range file.Decls {
			f.function = "(package)"
			if fn, ok := decl.(*ast.FuncDecl); ok {
				f.function = fn.Name.Name
				if fn.Recv != nil {
					f.function = strings.TrimLeft(types.ExprString(fn.Recv.List[0].Type), "*") + "." + fn.Name.Name
				}
			}
			f.walk(decl, nil)
		}
	}
	return out, nil
}

// files are the changed files and the file with the switches.
func (s *source) files() map[string][]byte {
	out := map[string][]byte{}
	for name, text := range s.texts {
		edits := slices.DeleteFunc(slices.Clone(s.edits[name]), func(e edit) bool {
			return !slices.ContainsFunc(e.mutants, func(m *mutant) bool { return !m.dropped })
		})
		slices.SortStableFunc(edits, func(a, b edit) int {
			if a.at != b.at {
				return a.at - b.at
			}
			return a.rank - b.rank
		})
		var changed []byte
		at := 0
		for _, e := range edits {
			changed = append(append(changed, text[at:e.at]...), e.text...)
			at = e.at + e.n
		}
		out[name] = append(changed, text[at:]...)
	}
	out["mutants_switches.go"] = []byte(strings.NewReplacer("PACKAGE", s.name, "COUNT", strconv.Itoa(len(s.mutants)+3)).Replace(switches))
	return out
}

var complaint = regexp.MustCompile(`(?m)^(?:[^\s:]*/)?([^\s:/]+\.go):(\d+):\d+: `)

// drop leaves out the changes of the lines that a compiler complains of.
func (s *source) drop(said string) (n int) {
	for _, match := range complaint.FindAllStringSubmatch(said, -1) {
		line, _ := strconv.Atoi(match[2]) // digits
		for _, m := range s.mutants {
			if m.file == match[1] && m.line == line && !m.dropped {
				m.dropped = true
				n++
			}
		}
	}
	if n == 0 && strings.Contains(said, "missing return") { // at the end of a function whose loop can now end
		for _, match := range complaint.FindAllStringSubmatch(said, -1) {
			line, _ := strconv.Atoi(match[2])
			var last *mutant
			for _, m := range s.mutants {
				if m.file == match[1] && m.line <= line && m.kind == "loop" && !m.dropped && (last == nil || m.line >= last.line) {
					last = m
				}
			}
			if last != nil {
				last.dropped = true
				n++
			}
		}
	}
	return n
}

// finder finds the changes of a file.
type finder struct {
	out      *source
	pkg      *packages.Package
	file     string
	text     []byte
	function string
	depth    int
}

func (f *finder) offset(p token.Pos) int { return f.pkg.Fset.Position(p).Offset }

// add makes a change of a node.
func (f *finder) add(kind string, at token.Pos, node ast.Node) *mutant {
	pos := f.pkg.Fset.Position(at)
	text := strings.Join(strings.Fields(string(f.text[f.offset(node.Pos()):f.offset(node.End())])), " ")
	m := &mutant{id: len(f.out.mutants) + 1, file: f.file, line: pos.Line, column: pos.Column, kind: kind, function: f.function, text: text}
	f.out.alike[m.key()]++
	if n := f.out.alike[m.key()]; n > 1 {
		m.text += fmt.Sprintf(" (%d)", n)
	}
	f.out.mutants = append(f.out.mutants, m)
	return m
}

func (f *finder) edit(at, n, rank int, text string, ms ...*mutant) {
	f.out.edits[f.file] = append(f.out.edits[f.file], edit{at, n, rank, text, ms})
}

// around puts text before and after a node. What is around more comes first
// before it, and last after it, where texts meet.
func (f *finder) around(node ast.Node, before, after string, ms ...*mutant) {
	f.edit(f.offset(node.Pos()), 0, 1_000_000+f.depth, before, ms...)
	f.edit(f.offset(node.End()), 0, -f.depth, after, ms...)
}

// walk finds the changes below a node; within tells what a break and a continue
// in it mean.
func (f *finder) walk(root ast.Node, within []ast.Node) {
	ast.Inspect(root, func(n ast.Node) bool {
		if n == nil || n == root && len(within) > 0 {
			return n != nil
		}
		switch n := n.(type) {
		case *ast.FuncLit:
			f.walkIn(n, []ast.Node{n})
			return false
		case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
			f.walkIn(n, append(slices.Clone(within), n))
			return false
		case *ast.BinaryExpr:
			f.binary(n)
			f.walkIn(n, append(slices.Clone(within), n))
			return false
		case *ast.UnaryExpr:
			if n.Op == token.SUB && f.pkg.TypesInfo.Types[n].Value == nil {
				m := f.add("sign", n.OpPos, n)
				f.edit(f.offset(n.OpPos), 1, 1_000_000+f.depth, "mutNeg("+strconv.Itoa(m.id)+", ", m)
				f.edit(f.offset(n.End()), 0, -f.depth, ")", m)
			}
		case *ast.IncDecStmt:
			m := f.add("count", n.TokPos, n)
			op := map[token.Token]string{token.INC: "+=", token.DEC: "-="}[n.Tok]
			f.edit(f.offset(n.TokPos), 2, 0, fmt.Sprintf(" %s mutOne(%d, %s)", op, m.id, f.text[f.offset(n.X.Pos()):f.offset(n.X.End())]), m)
		case *ast.BranchStmt:
			f.branch(n, within)
		}
		return true
	})
}

func (f *finder) walkIn(n ast.Node, within []ast.Node) {
	f.depth++
	f.walk(n, within)
	f.depth--
}

func (f *finder) binary(n *ast.BinaryExpr) {
	if f.pkg.TypesInfo.Types[n].Value != nil {
		return
	}
	call := map[token.Token]string{
		token.LSS: "mutLss", token.LEQ: "mutLeq", token.GTR: "mutGtr", token.GEQ: "mutGeq", token.LAND: "mutAnd", token.LOR: "mutOr",
		token.ADD: "mutAdd", token.SUB: "mutSub", token.MUL: "mutMul", token.QUO: "mutQuo", token.REM: "mutRem",
	}[n.Op]
	op, width := f.offset(n.OpPos), len(n.Op.String())
	switch n.Op {
	case token.EQL, token.NEQ:
		m := f.add("opposite", n.OpPos, n)
		f.around(n, fmt.Sprintf("(mutOn(%d) != (", m.id), "))", m)
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		bound, opposite := f.add("boundary", n.OpPos, n), f.add("opposite", n.OpPos, n)
		f.around(n, fmt.Sprintf("%s(%d, ", call, bound.id), ")", bound, opposite)
		f.edit(op, width, 0, ",", bound, opposite)
	case token.LAND, token.LOR:
		m := f.add("logic", n.OpPos, n)
		f.around(n, fmt.Sprintf("%s(%d, ", call, m.id), ")})", m)
		f.edit(op, width, 0, ", func() bool { return (", m) // an operand may stand on the next line
	case token.ADD, token.SUB, token.MUL, token.QUO, token.REM:
		if basic, ok := f.pkg.TypesInfo.TypeOf(n).Underlying().(*types.Basic); ok && basic.Info()&types.IsNumeric != 0 {
			m := f.add("arithmetic", n.OpPos, n)
			f.around(n, fmt.Sprintf("%s(%d, ", call, m.id), ")", m)
			f.edit(op, width, 0, ",", m)
		}
	}
}

func (f *finder) branch(n *ast.BranchStmt, within []ast.Node) {
	loop := false
	for _, node := range within {
		switch node.(type) {
		case *ast.ForStmt, *ast.RangeStmt:
			loop = true
		}
	}
	if n.Label != nil || !loop || n.Tok != token.BREAK && n.Tok != token.CONTINUE {
		return
	}
	other := map[token.Token]string{token.BREAK: "continue", token.CONTINUE: "break"}[n.Tok]
	m := f.add("loop", n.Pos(), n)
	f.edit(f.offset(n.Pos()), len(n.Tok.String()), 0, fmt.Sprintf("if mutOn(%d) { %s } else { %s }", m.id, other, n.Tok), m)
}
