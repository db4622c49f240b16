using System.Text.Json;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Data;

/// <summary>The context of a request as JSON: an object, its values in Cedar's JSON format.</summary>
public static class ContextJson
{
    /// <summary>Reads a context about which nothing is known; entities and extension values need their escapes.</summary>
    public static Parsed<CedarRecord> Parse(ReadOnlySpan<byte> utf8) => JsonCursor.Read(utf8, (ref JsonCursor at) => Read(ref at, expected: null));

    /// <summary>
    /// Reads the context of one action: text may stand for extension values, names of entities may do without escapes, and the attributes must be those that the
    /// schema declares.
    /// </summary>
    public static Parsed<CedarRecord> Parse(ReadOnlySpan<byte> utf8, CedarSchema schema, EntityUid action)
    {
        ArgumentNullException.ThrowIfNull(schema);
        ArgumentNullException.ThrowIfNull(action);
        if (!schema.Actions.TryGetValue(action, out ActionDeclaration? declared)) return new([new Diagnostic("unknown_action", $"The schema has no action {action}.")]);
        return JsonCursor.Read(utf8, (ref JsonCursor at) =>
        {
            CedarRecord? context = Read(ref at, declared.Context);
            if (context is not null) new RequestConformance(schema, at.Trail, at.Findings).CheckContext(context, declared);
            return context;
        });
    }

    internal static CedarRecord? Read(ref JsonCursor at, RecordType? expected)
    {
        if (at.Token == JsonTokenType.StartObject) return ValueReader.ReadRecord(ref at, expected);
        at.Unexpected("an object");
        return null;
    }
}
