using System.Buffers;
using System.Text.Json;
using McpAuth.Protocol;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Tokens;

namespace McpGuard.Sdk.DecisionPoints;

/// <summary>What is asked of decision points: one action of one caller.</summary>
/// <param name="Id">The decision's, which the points are told as the request's.</param>
/// <param name="Action">A tool's name, <c>resource:read</c> or <c>prompt:get</c>.</param>
/// <param name="Input">The arguments: a JSON object.</param>
/// <param name="Sensitivity">The tool's; null when it is about none.</param>
internal sealed record Evaluation(string Id, string Action, ReadOnlyMemory<byte> Input, string? Sensitivity);

/// <summary>
/// Writes an access evaluation request (AuthZEN 1.0 §6.1). Everything in it comes from the validated token, the registry, or the very arguments that the handler
/// gets; never the token itself.
/// </summary>
internal static class EvaluationRequest
{
    public static byte[] Write(Caller caller, string resource, Evaluation asked, bool withInput, DateTimeOffset time)
    {
        ValidatedToken token = caller.Token;
        var output = new ArrayBufferWriter<byte>(512 + (withInput ? asked.Input.Length : 0));
        using (var json = new Utf8JsonWriter(output))
        {
            json.WriteStartObject();
            json.WriteStartObject("subject");
            json.WriteString("type", token.SubjectProfile switch { Names.Claims.ProfileUser => Names.AuthZen.User, Names.Claims.ProfileAgent => Names.AuthZen.Agent, _ => Names.AuthZen.Client });
            json.WriteString("id", token.Subject);
            json.WriteStartObject("properties");
            Strings(json, "groups", token.Groups);
            Text(json, "agent", token.Agent);
            json.WriteString("client", token.ClientId);
            json.WriteEndObject();
            json.WriteEndObject();

            json.WriteStartObject("action");
            json.WriteString("name", asked.Action);
            json.WriteEndObject();

            json.WriteStartObject("resource");
            json.WriteString("type", Names.AuthZen.ToolServer);
            json.WriteString("id", resource);
            if (asked.Sensitivity is { } sensitivity)
            {
                json.WriteStartObject("properties");
                json.WriteString("tool", asked.Action);
                json.WriteString("sensitivity", sensitivity);
                json.WriteEndObject();
            }
            json.WriteEndObject();

            json.WriteStartObject("context");
            if (withInput)
            {
                json.WritePropertyName("input");
                json.WriteRawValue(asked.Input.Span, skipInputValidation: true);
            }
            Session(json, caller, time);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return output.WrittenSpan.ToArray();
    }

    /// <summary>The same facts, by the same names, as the server's policies have in <c>context.session</c>.</summary>
    private static void Session(Utf8JsonWriter json, Caller caller, DateTimeOffset time)
    {
        ValidatedToken token = caller.Token;
        json.WriteStartObject("session");
        json.WriteString("time", time);
        json.WriteString("client", token.ClientId);
        Strings(json, "scopes", token.Scopes.Order(StringComparer.Ordinal));
        Strings(json, "chain", token.Chain.Skip(1));
        if (token.Agent is { } agent)
        {
            json.WriteStartObject("agent");
            json.WriteString("id", agent);
            Text(json, "owner", token.AgentOwner);
            Text(json, "class", token.AgentClass);
            Moment(json, "review", token.AgentReview);
            json.WriteEndObject();
        }
        Text(json, "instance", token.Instance);
        if (token.Task is { } task)
        {
            json.WriteStartObject("task");
            json.WriteString("id", task);
            Moment(json, "deadline", token.TaskExpires);
            Text(json, "parent", token.ParentTask);
            json.WriteEndObject();
        }
        if (token.Assurance is { } assurance)
        {
            json.WriteStartObject("attestation");
            json.WriteString("assurance", assurance);
            Text(json, "workload", token.Workload);
            json.WriteEndObject();
        }
        Text(json, "acr", token.Acr);
        Moment(json, "authenticated", token.AuthTime);
        Text(json, "address", caller.Address is not { } address ? null : (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString());
        json.WriteEndObject();
    }

    private static void Text(Utf8JsonWriter json, string name, string? value)
    {
        if (value is not null) json.WriteString(name, value);
    }

    private static void Moment(Utf8JsonWriter json, string name, DateTimeOffset? time)
    {
        if (time is { } there) json.WriteString(name, there);
    }

    private static void Strings(Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (string value in values) json.WriteStringValue(value);
        json.WriteEndArray();
    }
}
