using System.Runtime.CompilerServices;
using System.Text;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Values;

/// <summary>The name of an entity: a type such as <c>Mcp::Agent</c>, and any text as id. Compared ordinally.</summary>
public sealed class EntityUid : IEquatable<EntityUid>
{
    private readonly int hash;

    /// <param name="type">A type name: identifiers joined by <c>::</c>. Not checked here; readers do.</param>
    public EntityUid(string type, string id)
    {
        Type = type;
        Id = id;
        hash = HashCode.Combine(string.GetHashCode(type, StringComparison.Ordinal), string.GetHashCode(id, StringComparison.Ordinal));
    }

    public string Type { get; }

    public string Id { get; }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Equals(EntityUid? other) =>
        ReferenceEquals(this, other) || (other is not null && hash == other.hash && SameText(other));

    public override bool Equals(object? obj) => obj is EntityUid other && Equals(other);

    public override int GetHashCode() => hash;

    private bool SameText(EntityUid other) => Id == other.Id && Type == other.Type;

    /// <summary>As a policy writes it: <c>Mcp::Agent::"claude"</c>.</summary>
    public override string ToString()
    {
        var text = new StringBuilder(Type).Append("::\"");
        StringEscapes.Append(text, Id);
        return text.Append('"').ToString();
    }
}
