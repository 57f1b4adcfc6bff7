// Parses scripts with a grammar of PowerShell and names what is no PowerShell. A
// grammar that finds nothing wrong in a script that was cut short would tell
// nothing, so each is cut short, too.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Language, Parser } from 'web-tree-sitter';

await Parser.init();
const grammar = fileURLToPath(import.meta.resolve('tree-sitter-powershell/tree-sitter-powershell.wasm'));
const parser = new Parser();
parser.setLanguage(await Language.load(grammar));

// faults are the places of a text that the grammar does not take.
function faults(text) {
  const found = [];
  const look = (node) => {
    if (node.isError || node.isMissing) {
      found.push(`${node.startPosition.row + 1}:${node.startPosition.column + 1}: ${node.isMissing ? `${node.type} is missing` : 'this is no PowerShell'}`);
    }
    node.children.forEach(look);
  };
  const tree = parser.parse(text);
  look(tree.rootNode);
  return { found, nodes: tree.rootNode.descendantCount };
}

const scripts = process.argv.slice(2);
let failed = scripts.length === 0;
for (const script of scripts) {
  const text = readFileSync(script, 'utf8');
  const { found, nodes } = faults(text);
  found.forEach((fault) => console.error(`${script}:${fault}`));
  const cut = faults(text.slice(0, text.lastIndexOf('}')));
  if (cut.found.length === 0) console.error(`${script}: the grammar finds nothing wrong in it without its last brace`);
  failed ||= found.length > 0 || cut.found.length === 0;
  if (found.length === 0) console.log(`${script}: ${nodes} nodes, and nothing that is no PowerShell`);
}
process.exit(failed ? 1 : 0);
