using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>How the texts of a call's arguments are read.</summary>
/// <param name="known">The texts that the policies hold.</param>
/// <param name="passing">Where all others are kept for the decision; null where they outlive it.</param>
internal readonly struct ArgumentTexts(JsonText known, PassingTexts? passing = null)
{
    /// <summary>The same for what is inside sets and records, of which there may be any number: each text is an object of its own.</summary>
    public ArgumentTexts Inside => new(known);

    /// <summary>A name; see <see cref="JsonText.TryRead(ref Utf8JsonReader, out string?)"/>.</summary>
    public bool TryReadName(ref Utf8JsonReader reader, [NotNullWhen(true)] out string? text) => known.TryRead(ref reader, out text);

    /// <summary>A value; no value, and false, when an escape stands for half a character.</summary>
    public bool TryRead(ref Utf8JsonReader reader, out Value text)
    {
        if (passing is not null) return known.TryRead(ref reader, passing, out text);
        text = known.TryRead(ref reader, out string? made) ? Value.Of(made) : default;
        return made is not null;
    }
}
