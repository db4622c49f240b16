using System.Collections.Concurrent;

namespace McpAuth.Cedar.Schemas.Resolution;

/// <summary>
/// Who is below whom, by the parents that are declared. The names of one declaration share one set of parents, and it is these sets that are followed: names and
/// parents together may be as many as the square of the text. What is below something is worked out when that is first asked for.
/// </summary>
internal sealed class Descent<T>
    where T : class
{
    /// <summary>Sets remembered for all that was asked about; when there are more, it is forgotten and worked out anew.</summary>
    private const int MostKept = 1_000_000;

    private readonly Func<T, IReadOnlySet<T>?> parentsOf;
    private readonly Dictionary<T, List<IReadOnlySet<T>>> above;
    private readonly Dictionary<IReadOnlySet<T>, List<T>> members = new(ReferenceEqualityComparer.Instance);
    private readonly ConcurrentDictionary<T, HashSet<IReadOnlySet<T>>> known;
    private int kept;

    /// <param name="parentsOf">Null for what is not declared.</param>
    public Descent(IEnumerable<T> all, Func<T, IReadOnlySet<T>?> parentsOf, IEqualityComparer<T> comparer)
    {
        this.parentsOf = parentsOf;
        above = new(comparer);
        known = new(comparer);
        foreach (T one in all)
        {
            IReadOnlySet<T> parents = parentsOf(one)!;
            if (members.TryGetValue(parents, out List<T>? sharing))
            {
                sharing.Add(one);
                continue;
            }
            members.Add(parents, [one]);
            foreach (T parent in parents)
            {
                if (!above.TryGetValue(parent, out List<IReadOnlySet<T>>? sets)) above.Add(parent, sets = []);
                sets.Add(parents);
            }
        }
    }

    /// <summary>Directly or indirectly; of itself only by a cycle.</summary>
    public bool IsBelow(T one, T ancestor)
    {
        if (parentsOf(one) is not { Count: > 0 } parents) return false;
        return parents.Contains(ancestor) || LeadingTo(ancestor).Contains(parents);
    }

    /// <summary>The sets of parents of everything below.</summary>
    private HashSet<IReadOnlySet<T>> LeadingTo(T ancestor)
    {
        if (known.TryGetValue(ancestor, out HashSet<IReadOnlySet<T>>? found)) return found;
        found = new(ReferenceEqualityComparer.Instance);
        var rest = new Stack<T>([ancestor]);
        while (rest.TryPop(out T? next))
        {
            if (!above.TryGetValue(next, out List<IReadOnlySet<T>>? sets)) continue;
            foreach (IReadOnlySet<T> set in sets)
            {
                if (!found.Add(set)) continue;
                foreach (T member in members[set]) rest.Push(member);
            }
        }
        if (Interlocked.Add(ref kept, found.Count + 1) > MostKept)
        {
            known.Clear();
            Interlocked.Exchange(ref kept, found.Count + 1);
        }
        return known.GetOrAdd(ancestor, found);
    }
}
