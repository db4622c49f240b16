using System.Collections.Frozen;

namespace McpAuth.Cedar.Schemas.Syntax;

/// <summary>Which words may name things in a schema.</summary>
internal static class Identifiers
{
    /// <summary>The namespace of the built-in types; nobody else's name may have it as a part.</summary>
    public const string Cedar = "__cedar";

    public const string Action = "Action";

    /// <summary>Words of the policy language that no identifier may be; annotations may have them as keys.</summary>
    private static readonly FrozenSet<string> Reserved = FrozenSet.ToFrozenSet(["true", "false", "if", "then", "else", "in", "is", "like", "has"], StringComparer.Ordinal);

    /// <summary>Words that mean a kind of type in the JSON form, so that no common type may be called so.</summary>
    private static readonly FrozenSet<string> TypeWords =
        FrozenSet.ToFrozenSet(["Bool", "Boolean", "Entity", "Extension", "Long", "Record", "Set", "String"], StringComparer.Ordinal);

    /// <summary>Whether this is written like an identifier.</summary>
    public static bool IsAny(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty || char.IsAsciiDigit(text[0])) return false;
        foreach (char c in text)
            if (!IsPart(c)) return false;
        return true;
    }

    public static bool IsStart(char c) => char.IsAsciiLetter(c) || c == '_';

    public static bool IsPart(char c) => char.IsAsciiLetterOrDigit(c) || c == '_';

    public static bool IsReserved(string word) => Reserved.Contains(word);

    public static bool IsTypeWord(string word) => TypeWords.Contains(word);

    public static bool IsIdentifier(string text) => IsAny(text) && !IsReserved(text);

    /// <summary>Whether this is identifiers joined by <c>::</c>, without spaces.</summary>
    public static bool IsPath(string text) => text.Split("::").All(IsIdentifier);

    /// <summary>Whether a part of the name is <see cref="Cedar"/>.</summary>
    public static bool IsCedars(string path) => path.Contains(Cedar, StringComparison.Ordinal) && path.Split("::").Contains(Cedar, StringComparer.Ordinal);

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
