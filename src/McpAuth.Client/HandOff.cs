using System.Text;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuth.Protocol.ToolCalls;

namespace McpAuth.Client;

/// <summary>
/// A part of one agent's task, on its way to another agent. It holds an access token that is bound to the giver's key: whoever else has it can do nothing with it
/// at a tool server, and only an agent that the giver may hand off to can exchange it. Made by <see cref="AgentTask.HandOff(string, Authority, DateTimeOffset?, CancellationToken)"/>,
/// taken up by <see cref="AgentSession.AcceptHandOff(HandOff, CancellationToken)"/>. Its text does not show the token.
/// </summary>
public sealed class HandOff
{
    private readonly HandOffMessage message;

    internal HandOff(HandOffMessage message) => this.message = message;

    /// <summary>The authorization server of both agents.</summary>
    public string Issuer => message.Issuer;

    /// <summary>The tool server it is for; for another one there is another hand-off.</summary>
    public string Resource => message.Resource;

    /// <summary>What it is for, in the giver's words; for people.</summary>
    public string Purpose => message.Purpose;

    /// <summary>All that may be taken up: an <c>mcp_tool_call</c> array of one entry (RFC 9396 §2).</summary>
    public JsonElement AuthorizationDetails => message.AuthorizationDetails;

    /// <summary>Until when it can be taken up: minutes. What comes of it lasts as long as its own task.</summary>
    public DateTimeOffset TakeUpBefore => message.TakeUpBefore;

    /// <summary>When the other agent's task ends at the latest; null = with the giver's.</summary>
    public DateTimeOffset? ExpiresAt => message.ExpiresAt;

    internal string SubjectToken => message.SubjectToken;

    /// <summary>As one line of JSON, for the other agent and nobody else.</summary>
    public string ToJson() => JsonSerializer.Serialize(message, ProtocolJson.Default.HandOffMessage);

    /// <summary>Reads what <see cref="ToJson"/> wrote.</summary>
    /// <exception cref="FormatException">It is not that; the message says why and shows nothing of it.</exception>
    public static HandOff Parse(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        if (!StrictJson.Parse(Encoding.UTF8.GetBytes(json), new JsonLimits(Limits.TokenBody)).TryGet(out JsonElement read, out Fault? fault))
            throw new FormatException($"The hand-off is not JSON: {fault.Code}.");
        HandOffMessage? message;
        try
        {
            message = read.Deserialize(ProtocolJson.Default.HandOffMessage);
        }
        catch (JsonException)
        {
            throw new FormatException("The hand-off does not have the members it should.");
        }
        if (message is not { Issuer: not null, Resource: not null, Purpose: not null, SubjectToken: not null, AuthorizationDetails.ValueKind: JsonValueKind.Array })
            throw new FormatException("The hand-off does not have the members it should.");
        if (!ServerAddress.IsResource(message.Resource) || !Authority.Parse(message.AuthorizationDetails).TryGet(out Authority? authority, out _) || authority.Locations is not [{ } only] || only.Location != message.Resource)
            throw new FormatException("The hand-off's authority is not for its one tool server.");
        return new HandOff(message);
    }

    /// <summary>Where and what for; never the token.</summary>
    public override string ToString() => $"hand-off of \"{Purpose}\" at {Resource}, to be taken up before {TakeUpBefore:O}";
}
