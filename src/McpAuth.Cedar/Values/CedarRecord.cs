using System.Collections;
using McpAuth.Cedar.Data;

namespace McpAuth.Cedar.Values;

/// <summary>A record: attributes by name, in ordinal order of the names. Immutable.</summary>
public sealed class CedarRecord : IReadOnlyCollection<KeyValuePair<string, Value>>, IEquatable<CedarRecord>
{
    /// <summary>Up to here a walk over the names is faster than a search.</summary>
    private const int Small = 8;

    private readonly string[] names;
    private readonly Value[] values;
    private readonly int hash;

    /// <summary>The record of these attributes.</summary>
    /// <exception cref="ArgumentException">A name stands twice, or has no value.</exception>
    public CedarRecord(IEnumerable<KeyValuePair<string, Value>> attributes)
    {
        KeyValuePair<string, Value>[] sorted = [.. attributes];
        Array.Sort(sorted, static (a, b) => string.CompareOrdinal(a.Key, b.Key));
        names = new string[sorted.Length];
        values = new Value[sorted.Length];
        var hash = new HashCode();
        for (int i = 0; i < sorted.Length; i++)
        {
            (names[i], values[i]) = sorted[i];
            if (values[i].IsNone) throw new ArgumentException($"The attribute '{names[i]}' has no value.", nameof(attributes));
            if (i > 0 && names[i] == names[i - 1]) throw new ArgumentException($"The attribute '{names[i]}' stands twice.", nameof(attributes));
            hash.Add(string.GetHashCode(names[i], StringComparison.Ordinal));
            hash.Add(values[i].GetHashCode());
        }
        this.hash = hash.ToHashCode();
    }

    public static CedarRecord Empty { get; } = new([]);

    public int Count => names.Length;

    internal ReadOnlySpan<string> Names => names;

    internal ReadOnlySpan<Value> Values => values;

    /// <summary>The value of an attribute; no value when there is none of that name.</summary>
    public Value this[string name]
    {
        get
        {
            int at = IndexOf(name);
            return at < 0 ? default : values[at];
        }
    }

    public bool Contains(string name) => IndexOf(name) >= 0;

    /// <summary>In Cedar's JSON format.</summary>
    /// <exception cref="CedarException">An attribute is named <c>__entity</c>, <c>__extn</c> or <c>__expr</c>, which would be read as something else.</exception>
    public string ToJson() => ValueWriter.Text(json => ValueWriter.Write(json, this));

    public bool Equals(CedarRecord? other) =>
        ReferenceEquals(this, other) ||
        (other is not null && hash == other.hash && names.AsSpan().SequenceEqual(other.names) && values.AsSpan().SequenceEqual(other.values));

    public override bool Equals(object? obj) => obj is CedarRecord other && Equals(other);

    public override int GetHashCode() => hash;

    public IEnumerator<KeyValuePair<string, Value>> GetEnumerator()
    {
        for (int i = 0; i < names.Length; i++) yield return new(names[i], values[i]);
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private int IndexOf(string name)
    {
        string[] all = names;
        if (all.Length > Small) return Array.BinarySearch(all, name, StringComparer.Ordinal);
        // Names that readers interned are the same objects.
        for (int i = 0; i < all.Length; i++)
            if (ReferenceEquals(all[i], name)) return i;
        for (int i = 0; i < all.Length; i++)
            if (all[i] == name) return i;
        return -1;
    }
}
