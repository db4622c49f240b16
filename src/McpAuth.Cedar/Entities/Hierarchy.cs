using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using McpAuth.Cedar.Data;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Entities;

/// <summary>
/// Works out what each entity is in. Depth first with a list for a stack, since a chain of entities can be as long as a document; each entity once, after its
/// parents. What it costs is the number of (entity, ancestor) pairs, and that is bounded.
/// </summary>
/// <param name="above">The ancestry of an entity that is not among those to be worked out; null when it is not known at all.</param>
internal sealed class Hierarchy(Func<EntityUid, Ancestry?> above)
{
    private readonly Dictionary<EntityUid, Node> nodes = [];
    private readonly Dictionary<EntityUid[], Ancestry> shared = new(new SameUids());
    private int links;

    private enum State
    {
        New,
        Open,
        Done,
    }

    public void Add(EntityUid uid, EntityUid[] parents) => nodes[uid] = new(uid, parents);

    public Ancestry this[EntityUid uid] => nodes[uid].Ancestry;

    /// <summary>False when entities are in one another, or there are too many pairs; then it is reported.</summary>
    public bool TryClose(DataFindings findings)
    {
        var open = new List<Node>();
        foreach (Node start in nodes.Values)
        {
            if (start.State != State.New) continue;
            Open(start);
            while (open.Count > 0)
            {
                Node node = open[^1];
                if (node.NextParent < node.Parents.Length)
                {
                    if (!nodes.TryGetValue(node.Parents[node.NextParent++], out Node? parent) || parent.State == State.Done) continue;
                    if (parent.State == State.Open)
                    {
                        findings.Error("cycle", $"Entities are in one another: {Circle(open, parent)}.", path: null);
                        return false;
                    }
                    Open(parent);
                    continue;
                }
                if (!TryUnite(node))
                {
                    findings.Error("hierarchy_too_large", string.Create(CultureInfo.InvariantCulture,
                        $"The entities have more than {Limits.Ancestors} ancestors altogether."), path: null);
                    return false;
                }
                node.State = State.Done;
                open.RemoveAt(open.Count - 1);
            }
        }
        return true;

        void Open(Node node)
        {
            node.State = State.Open;
            open.Add(node);
        }
    }

    private bool TryUnite(Node node)
    {
        if (node.Parents.Length == 0) return true;
        if (shared.TryGetValue(node.Parents, out Ancestry? same))
        {
            node.Ancestry = same;
            return true;
        }
        var all = new HashSet<EntityUid>();
        foreach (EntityUid parent in node.Parents)
        {
            if (!all.Add(parent)) continue; // it came with another parent, and so did all that is above it
            EntityUid[] further = (nodes.TryGetValue(parent, out Node? known) ? known.Ancestry : above(parent))?.All ?? [];
            links += further.Length + 1;
            if (links > Limits.Ancestors) return false;
            all.UnionWith(further);
        }
        node.Ancestry = new(all);
        shared.Add(node.Parents, node.Ancestry);
        return true;
    }

    private static string Circle(List<Node> open, Node again)
    {
        const int Shown = 10;
        var text = new StringBuilder();
        int first = open.IndexOf(again);
        for (int i = first; i < open.Count; i++)
        {
            if (i - first == Shown)
            {
                text.Append("… in ");
                break;
            }
            text.Append(open[i].Uid).Append(" in ");
        }
        return text.Append(again.Uid).ToString();
    }

    private sealed class Node(EntityUid uid, EntityUid[] parents)
    {
        public EntityUid Uid { get; } = uid;

        public EntityUid[] Parents { get; } = parents;

        public int NextParent { get; set; }

        public State State { get; set; }

        public Ancestry Ancestry { get; set; } = Ancestry.None;
    }

    private sealed class SameUids : IEqualityComparer<EntityUid[]>
    {
        public bool Equals(EntityUid[]? x, EntityUid[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode([DisallowNull] EntityUid[] obj)
        {
            var hash = new HashCode();
            foreach (EntityUid uid in obj) hash.Add(uid);
            return hash.ToHashCode();
        }
    }
}
