using System.Text.Json;
using System.Text.Unicode;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Mcp;

/// <summary>
/// The Cedar type of a tool's arguments: string is String, boolean Bool, integer Long, number decimal, an array a Set, an object a record, and what may be null
/// is optional. What has no single Cedar type is left out, and told: policies cannot read it, and it is never guessed.
/// </summary>
public static class InputTypes
{
    /// <summary>Bytes of one tool's input schema: 256 KiB.</summary>
    public const int Longest = 256 * 1024;

    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = Limits.Depth, AllowDuplicateProperties = false };

    /// <summary>Reads an <c>inputSchema</c> (JSON Schema 2020-12).</summary>
    /// <param name="schema">UTF-8. Any bytes: what is no schema is told like anything else that has no type.</param>
    /// <returns>The record of the arguments that have a type; empty when the whole has none.</returns>
    public static InputType Of(ReadOnlyMemory<byte> schema)
    {
        if (schema.Length > Longest) return Nothing($"The schema has more than {Longest} bytes.");
        if (!Utf8.IsValid(schema.Span)) return Nothing("The schema is not UTF-8.");
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(schema, Strict);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // the latter for half a character in a name
        {
            return Nothing("The schema is not JSON, nests too deeply, or has a member twice.");
        }
        using (document) return new InputTypeReader(document.RootElement).Read();
    }

    private static InputType Nothing(string reason) => new(RecordType.Empty, [InputTypeReader.NoteOf(JsonPlace.Root, reason)]);
}

/// <summary>What policies may read of a tool's arguments.</summary>
/// <param name="Notes">What was left out: the path in the schema, and why. At most <see cref="Limits.Errors"/>.</param>
public sealed record InputType(RecordType Type, IReadOnlyList<Diagnostic> Notes);
