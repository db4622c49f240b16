using System.Collections.Frozen;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Schemas.Syntax;

/// <summary>Which words may name things in a schema.</summary>
internal static class SchemaWords
{
    /// <summary>The namespace of the built-in types; nobody else's name may have it as a part.</summary>
    public const string Cedar = "__cedar";

    public const string Action = "Action";

    /// <summary>Words that mean a kind of type in the JSON form, so that no common type may be called so.</summary>
    private static readonly FrozenSet<string> TypeWords =
        FrozenSet.ToFrozenSet(["Bool", "Boolean", "Entity", "Extension", "Long", "Record", "Set", "String"], StringComparer.Ordinal);

    public static bool IsTypeWord(string word) => TypeWords.Contains(word);

    /// <summary>Whether the policy language has another meaning for the word. <see cref="Cedar"/> is no such word: schemas refer to it.</summary>
    public static bool IsReserved(string word) => word != Cedar && Identifiers.IsReserved(word);

    /// <summary>Whether a part of a name may be called so.</summary>
    public static bool IsIdentifier(ReadOnlySpan<char> text) => Identifiers.IsName(text) || text is Cedar;

    /// <summary>Whether this is identifiers joined by <c>::</c>, without spaces.</summary>
    public static bool IsPath(string text)
    {
        foreach (Range part in text.AsSpan().Split("::"))
            if (!IsIdentifier(text.AsSpan(part))) return false;
        return true;
    }

    /// <summary>Whether a part of the name is <see cref="Cedar"/>.</summary>
    public static bool IsCedars(string path)
    {
        foreach (Range part in path.AsSpan().Split("::"))
            if (path.AsSpan(part) is Cedar) return true;
        return false;
    }

    public static string Qualify(string? container, string name) => container is null ? name : $"{container}::{name}";

    public static string BaseName(string path)
    {
        int at = path.LastIndexOf("::", StringComparison.Ordinal);
        return at < 0 ? path : path[(at + 2)..];
    }

    public static bool IsQualified(string path) => path.Contains("::", StringComparison.Ordinal);

    /// <summary>Whether a type of this name is one of actions: <c>Action</c>, or that in a namespace.</summary>
    public static bool IsActionType(string path) => path == Action || path.EndsWith("::Action", StringComparison.Ordinal);
}
