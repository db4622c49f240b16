using System.Text.Encodings.Web;
using System.Text.Json;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>
/// Who may approve calls at a tool server. Only policies whose scope names <see cref="ToolServerModel.GiveApproval"/> are asked: what lets everybody call must not let everybody
/// approve, and what asks for an approval must not forbid it. While none of them permits, the user on whose authority the call is may approve, and nobody else.
/// Immutable, for any number of threads.
/// </summary>
public sealed class McpApprovers
{
    private static readonly Policy OwnUser = PolicySet.Parse(
        """permit (principal, action == Mcp::Action::"approval:give", resource) when { context.session has user && context.session.user == principal };""").Value.Policies[0];

    private readonly ToolCallAuthorizer authorizer;

    /// <param name="policies">Null for none.</param>
    public McpApprovers(PolicySet? policies, ToolServerModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        EntityUid give = McpSchema.Action(ToolServerModel.GiveApproval);
        List<Policy> named = [.. (policies?.Policies ?? []).Where(p => p.Body.Action.Actions.Contains(give))];
        if (!named.Exists(p => p.Effect == Effect.Permit))
        {
            // An id of its own: those of policies may be any text.
            string id = "own-user";
            while (named.Exists(p => p.Id == id)) id += "'";
            named.Add(new Policy(id, OwnUser.Body));
        }
        authorizer = new(new PolicySet(named), model);
    }

    /// <summary>Whether a user may approve this call.</summary>
    /// <param name="asking">Who wants to call.</param>
    /// <param name="user">The id of the user who would approve.</param>
    /// <param name="groups">The ids of that user's groups.</param>
    /// <param name="resource">The tool server's URI.</param>
    /// <param name="time">When it is decided.</param>
    public bool May(McpCaller asking, string user, IReadOnlyCollection<string> groups, string resource, string tool, ToolSensitivity sensitivity, DateTimeOffset time)
    {
        ArgumentNullException.ThrowIfNull(asking);
        var person = new McpCaller { Kind = McpSubject.User, Subject = user, Groups = groups, Agent = asking.Agent };
        var call = new ToolCall
        {
            Principal = person.Principal, Tool = ToolServerModel.GiveApproval, Resource = McpCaller.Server(resource), Session = asking.Session(time), Arguments = Input(tool, sensitivity),
        };
        return authorizer.Authorize(call, person.Entities(), new AuthorizationResponse()) == Decision.Allow;
    }

    private static byte[] Input(string tool, ToolSensitivity sensitivity)
    {
        using var json = new MemoryStream();
        using (var writer = new Utf8JsonWriter(json, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            writer.WriteString("tool", tool);
            writer.WriteString("sensitivity", McpSchema.Word(sensitivity));
            writer.WriteEndObject();
        }
        return json.ToArray();
    }
}
