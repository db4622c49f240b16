using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Policies;

/// <summary>Writes the JSON form of policies.</summary>
internal static class PolicyJsonWriter
{
    // Chains are as deep as they are long; names such as && stay readable.
    private static readonly JsonWriterOptions Options =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = int.MaxValue - 1 };

    public static string Write(Action<Utf8JsonWriter> content)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var to = new Utf8JsonWriter(buffer, Options)) content(to);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    public static void Write(Utf8JsonWriter to, PolicySet set)
    {
        to.WriteStartObject();
        to.WriteStartObject("staticPolicies");
        foreach (Policy policy in set.Policies)
            if (policy.Template is null) Write(to, policy.Id, policy.Body);
        to.WriteEndObject();
        to.WriteStartObject("templates");
        foreach (Policy template in set.Templates) Write(to, template.Id, template.Body);
        to.WriteEndObject();
        to.WriteStartArray("templateLinks");
        foreach (Policy policy in set.Policies)
            if (policy.Template is { } template) Link(to, policy, template);
        to.WriteEndArray();
        to.WriteEndObject();
    }

    private static void Link(Utf8JsonWriter to, Policy policy, Policy template)
    {
        to.WriteStartObject();
        to.WriteString("templateId", template.Id);
        to.WriteString("newId", policy.Id);
        to.WriteStartObject("values");
        if (policy.PrincipalSlot is { } principal) ExprJsonWriter.WriteEntity(to, "?principal", principal);
        if (policy.ResourceSlot is { } resource) ExprJsonWriter.WriteEntity(to, "?resource", resource);
        to.WriteEndObject();
        to.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter to, string id, PolicyBody body)
    {
        to.WritePropertyName(id);
        Write(to, body);
    }

    public static void Write(Utf8JsonWriter to, PolicyBody body)
    {
        to.WriteStartObject();
        to.WriteString("effect", body.Effect == Effect.Permit ? "permit" : "forbid");
        Scope(to, "principal", body.Principal);
        Action(to, body.Action);
        Scope(to, "resource", body.Resource);
        to.WriteStartArray("conditions");
        var expressions = new ExprJsonWriter(to);
        foreach (Condition condition in body.Conditions)
        {
            to.WriteStartObject();
            to.WriteString("kind", condition.Unless ? "unless" : "when");
            to.WritePropertyName("body");
            expressions.Write(condition.Expression);
            to.WriteEndObject();
        }
        to.WriteEndArray();
        if (body.Annotations.Count > 0)
        {
            to.WriteStartObject("annotations");
            foreach ((string key, string value) in body.Annotations) to.WriteString(key, value);
            to.WriteEndObject();
        }
        to.WriteEndObject();
    }

    private static void Scope(Utf8JsonWriter to, string variable, EntityScope scope)
    {
        to.WriteStartObject(variable);
        switch (scope.Kind)
        {
            case ScopeKind.Any:
                to.WriteString("op", "All");
                break;
            case ScopeKind.Equal or ScopeKind.In:
                to.WriteString("op", scope.Kind == ScopeKind.Equal ? "==" : "in");
                EntityOrSlot(to, variable, scope.Entity);
                break;
            default:
                to.WriteString("op", "is");
                to.WriteString("entity_type", scope.Type);
                if (scope.Kind == ScopeKind.Is) break;
                to.WriteStartObject("in");
                EntityOrSlot(to, variable, scope.Entity);
                to.WriteEndObject();
                break;
        }
        to.WriteEndObject();
    }

    private static void EntityOrSlot(Utf8JsonWriter to, string variable, EntityUid? entity)
    {
        if (entity is null) to.WriteString("slot", $"?{variable}");
        else ExprJsonWriter.WriteEntity(to, "entity", entity);
    }

    private static void Action(Utf8JsonWriter to, ActionScope scope)
    {
        to.WriteStartObject("action");
        to.WriteString("op", scope.Kind switch { ScopeKind.Any => "All", ScopeKind.Equal => "==", _ => "in" });
        if (scope.IsList)
        {
            to.WriteStartArray("entities");
            foreach (EntityUid action in scope.Actions)
            {
                to.WriteStartObject();
                ExprJsonWriter.WriteEntity(to, action);
                to.WriteEndObject();
            }
            to.WriteEndArray();
        }
        else if (scope.Kind != ScopeKind.Any) ExprJsonWriter.WriteEntity(to, "entity", scope.Actions[0]);
        to.WriteEndObject();
    }
}
