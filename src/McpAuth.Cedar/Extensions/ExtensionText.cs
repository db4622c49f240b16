using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Extensions;

/// <summary>Extension values and their text.</summary>
internal static class ExtensionText
{
    /// <summary>The value that a constructor makes of its argument; no value when the text is none of that type.</summary>
    public static Value Read(ValueKind kind, string text) => default;

    /// <summary>The text that <see cref="Read"/> makes the same value of.</summary>
    public static string Of(CedarIpAddress address) => "";
}
