using McpAuth.Cedar.Data;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar;

/// <summary>Who wants to do what to what, and under which circumstances.</summary>
public sealed record Request(EntityUid Principal, EntityUid Action, EntityUid Resource, CedarRecord Context)
{
    /// <summary>Reads <c>{"principal":…,"action":…,"resource":…,"context":{…}}</c>, entities as <c>{"type":…,"id":…}</c>; without a context it is empty.</summary>
    /// <param name="schema">When given, it says what the context may hold, and the request must be one it knows (<see cref="CedarSchema.Conforms(Request)"/>).</param>
    /// <returns>Errors with their JSON path; warnings for members that are not part of the format.</returns>
    public static Parsed<Request> ParseJson(ReadOnlySpan<byte> utf8, CedarSchema? schema = null) => RequestReader.Read(utf8, schema);

    /// <summary>What <see cref="ParseJson"/> reads as an equal request.</summary>
    /// <exception cref="CedarException">A record has an attribute named <c>__entity</c>, <c>__extn</c> or <c>__expr</c>, which would be read as something else.</exception>
    public string ToJson() => ValueWriter.Text(json =>
    {
        json.WriteStartObject();
        json.WritePropertyName("principal");
        ValueWriter.Write(json, Principal);
        json.WritePropertyName("action");
        ValueWriter.Write(json, Action);
        json.WritePropertyName("resource");
        ValueWriter.Write(json, Resource);
        json.WritePropertyName("context");
        ValueWriter.Write(json, Context);
        json.WriteEndObject();
    });
}
