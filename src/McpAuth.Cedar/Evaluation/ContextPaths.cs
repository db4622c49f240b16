using System.Runtime.InteropServices;

namespace McpAuth.Cedar.Evaluation;

/// <summary>
/// The attributes of the context that a policy set reads (<c>context.a.b</c>), each with a number: a decision looks each of them up once, however
/// many policies read it, and whoever fills a context from something else (a tool call's JSON) knows which parts are wanted at all.
/// </summary>
internal sealed class ContextPaths
{
    private readonly List<ContextPath> all = [];
    private readonly Dictionary<(int Parent, string Name), int> numbers = [];

    public int Count => all.Count;

    public ContextPath this[int number] => all[number];

    /// <summary>By number; of use once no more are added.</summary>
    public ReadOnlySpan<ContextPath> All => CollectionsMarshal.AsSpan(all);

    /// <summary>The number of an attribute; -1 when no policy reads it.</summary>
    /// <param name="parent">The number of the path without its last name; -1 for the context itself.</param>
    public int Find(string name, int parent = -1) => numbers.TryGetValue((parent, name), out int number) ? number : -1;

    /// <param name="parent">The number of the path without its last name; -1 for the context itself.</param>
    public int Add(int parent, string name)
    {
        if (!numbers.TryGetValue((parent, name), out int number))
        {
            numbers[(parent, name)] = number = all.Count;
            all.Add(new(parent, name));
        }
        return number;
    }
}

/// <param name="Parent">The number of the path without its last name; -1 for the context itself.</param>
internal readonly record struct ContextPath(int Parent, string Name);

/// <summary>What some conditions read of the context.</summary>
internal sealed class ContextReads
{
    private readonly HashSet<int> values = [];
    private readonly HashSet<int> presences = [];

    /// <summary>Paths whose value is read.</summary>
    public IReadOnlySet<int> Values => values;

    /// <summary>Paths of which it is asked whether they are there.</summary>
    public IReadOnlySet<int> Presences => presences;

    /// <summary>Whether the context as a whole is read.</summary>
    public bool All { get; private set; }

    public void Value(int path) => values.Add(path);

    public void Presence(int path) => presences.Add(path);

    public void Whole() => All = true;

    public void Add(ContextReads other)
    {
        values.UnionWith(other.values);
        presences.UnionWith(other.presences);
        All |= other.All;
    }
}
