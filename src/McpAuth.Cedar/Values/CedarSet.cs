using System.Collections;

namespace McpAuth.Cedar.Values;

/// <summary>A set of values: each once, in no order that means anything. Immutable.</summary>
public sealed class CedarSet : IReadOnlyCollection<Value>, IEquatable<CedarSet>
{
    /// <summary>Up to here a walk over the members is faster than their hashes.</summary>
    private const int Small = 8;

    private readonly Value[] members;
    private readonly HashSet<Value>? index;
    private readonly int hash;

    /// <summary>The set of these; what stands twice is a member once.</summary>
    public CedarSet(params ReadOnlySpan<Value> values)
    {
        if (values.Length <= Small)
        {
            var distinct = new List<Value>(values.Length);
            foreach (Value value in values)
                if (!distinct.Contains(value)) distinct.Add(value);
            members = [.. distinct];
        }
        else
        {
            index = new HashSet<Value>(values.Length);
            foreach (Value value in values) index.Add(value);
            members = [.. index];
        }
        int sum = 0;
        foreach (Value member in members) sum = unchecked(sum + member.GetHashCode()); // a sum, so that order does not matter
        // Mixed, because sets of sets are summed again: {{1}, {2}} must not meet {{1, 2}}, and there is no end of such partitions.
        hash = HashCode.Combine(sum, members.Length);
    }

    public int Count => members.Length;

    internal ReadOnlySpan<Value> Members => members;

    public bool Contains(Value value)
    {
        if (index is not null) return index.Contains(value);
        foreach (Value member in members)
            if (member.Equals(value)) return true;
        return false;
    }

    /// <summary>Whether every member of <paramref name="other"/> is one of this.</summary>
    public bool ContainsAll(CedarSet other)
    {
        if (other.Count > Count) return false;
        foreach (Value value in other.members)
            if (!Contains(value)) return false;
        return true;
    }

    /// <summary>Whether some member of <paramref name="other"/> is one of this.</summary>
    public bool ContainsAny(CedarSet other)
    {
        // Walks the smaller one.
        (CedarSet walked, CedarSet asked) = other.Count <= Count ? (other, this) : (this, other);
        foreach (Value value in walked.members)
            if (asked.Contains(value)) return true;
        return false;
    }

    public bool Equals(CedarSet? other) =>
        ReferenceEquals(this, other) || (other is not null && hash == other.hash && Count == other.Count && ContainsAll(other));

    public override bool Equals(object? obj) => obj is CedarSet other && Equals(other);

    public override int GetHashCode() => hash;

    public IEnumerator<Value> GetEnumerator() => ((IEnumerable<Value>)members).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
