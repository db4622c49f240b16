using System.Text.Json;
using McpAuth.Cedar.Data;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Entities;

public sealed partial class EntityStore
{
    /// <summary>Reads Cedar's entities JSON format.</summary>
    /// <param name="utf8">The document, at most <see cref="Limits.Text"/> bytes.</param>
    /// <param name="schema">
    /// When given, it says what is expected: text may stand for extension values, names of entities and extension calls may do without escapes, every entity
    /// must be as its type is declared, and the schema's actions are added.
    /// </param>
    /// <returns>Errors with their JSON path; warnings for members that are not part of the format.</returns>
    public static Parsed<EntityStore> ParseJson(ReadOnlySpan<byte> utf8, CedarSchema? schema = null) => EntityReader.Read(utf8, schema);

    /// <summary>Writes Cedar's entities JSON format, in ordinal order of types and ids; it can be read without a schema.</summary>
    /// <exception cref="CedarException">A record has an attribute named <c>__entity</c>, <c>__extn</c> or <c>__expr</c>, which would be read as something else.</exception>
    public string ToJson() => ValueWriter.Text(json =>
    {
        json.WriteStartArray();
        foreach (Entity entity in Entities.OrderBy(e => e.Uid.Type, StringComparer.Ordinal).ThenBy(e => e.Uid.Id, StringComparer.Ordinal)) Write(json, entity);
        json.WriteEndArray();
    });

    private static void Write(Utf8JsonWriter json, Entity entity)
    {
        json.WriteStartObject();
        json.WritePropertyName("uid");
        ValueWriter.Write(json, entity.Uid);
        json.WritePropertyName("attrs");
        ValueWriter.Write(json, entity.Attributes);
        json.WriteStartArray("parents");
        foreach (EntityUid parent in entity.Parents) ValueWriter.Write(json, parent);
        json.WriteEndArray();
        if (entity.Tags.Count > 0)
        {
            json.WritePropertyName("tags");
            ValueWriter.Write(json, entity.Tags);
        }
        json.WriteEndObject();
    }
}
