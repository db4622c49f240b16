using System.ComponentModel;
using System.Text.Json;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace ConformanceServer;

/// <summary>
/// Tools that ask the client in the middle of a call, as revisions before 2026-07-28 do it. That takes a session, which a stateless server
/// does not have: they are here so that the list of expected failures says why, and notices when it changes.
/// </summary>
[McpServerToolType]
internal sealed class SessionTools
{
    [McpServerTool(Name = "test_sampling", ReadOnly = true), Description("Asks the client's model in the middle of a call.")]
    public static async Task<string> Sampling(McpServer server, [Description("What to ask.")] string prompt, CancellationToken cancellationToken)
    {
        CreateMessageResult result = await server.SampleAsync(
            new CreateMessageRequestParams { Messages = [new SamplingMessage { Role = Role.User, Content = [new TextContentBlock { Text = prompt }] }], MaxTokens = 100 }, cancellationToken);
        return "LLM response: " + string.Concat(result.Content.OfType<TextContentBlock>().Select(c => c.Text));
    }

    [McpServerTool(Name = "test_elicitation", ReadOnly = true), Description("Asks the person in the middle of a call.")]
    public static Task<string> Elicitation(McpServer server, [Description("What to ask.")] string message, CancellationToken cancellationToken) => AskAsync(server, message, new()
    {
        Properties =
        {
            ["username"] = new ElicitRequestParams.StringSchema { Description = "User's response" },
            ["email"] = new ElicitRequestParams.StringSchema { Description = "User's email address" },
        },
        Required = ["username", "email"],
    }, cancellationToken);

    [McpServerTool(Name = "test_elicitation_sep1034_defaults", ReadOnly = true), Description("Asks with defaults.")]
    public static Task<string> Defaults(McpServer server, CancellationToken cancellationToken) => AskAsync(server, "Please review", new()
    {
        Properties =
        {
            ["name"] = new ElicitRequestParams.StringSchema { Default = "John Doe" },
            ["age"] = new ElicitRequestParams.NumberSchema { Type = "integer", Default = 30 },
            ["score"] = new ElicitRequestParams.NumberSchema { Default = 95.5 },
            ["status"] = new ElicitRequestParams.UntitledSingleSelectEnumSchema { Enum = ["active", "inactive", "pending"], Default = "active" },
            ["verified"] = new ElicitRequestParams.BooleanSchema { Default = true },
        },
    }, cancellationToken);

    [McpServerTool(Name = "test_elicitation_sep1330_enums", ReadOnly = true), Description("Asks with every kind of choice.")]
    public static Task<string> Enums(McpServer server, CancellationToken cancellationToken) => AskAsync(server, "Please choose", new()
    {
        Properties =
        {
            ["untitledSingle"] = new ElicitRequestParams.UntitledSingleSelectEnumSchema { Enum = ["option1", "option2", "option3"] },
            ["titledSingle"] = new ElicitRequestParams.TitledSingleSelectEnumSchema { OneOf = Options("value1", "value2", "value3") },
            ["legacyEnum"] = new ElicitRequestParams.LegacyTitledEnumSchema { Enum = ["opt1", "opt2", "opt3"], EnumNames = ["Option One", "Option Two", "Option Three"] },
            ["untitledMulti"] = new ElicitRequestParams.UntitledMultiSelectEnumSchema { Items = new() { Enum = ["option1", "option2", "option3"] } },
            ["titledMulti"] = new ElicitRequestParams.TitledMultiSelectEnumSchema { Items = new() { AnyOf = Options("value1", "value2", "value3") } },
        },
    }, cancellationToken);

    private static ElicitRequestParams.EnumSchemaOption[] Options(params string[] values) => [.. values.Select(v => new ElicitRequestParams.EnumSchemaOption { Const = v, Title = "Choice " + v })];

    private static async Task<string> AskAsync(McpServer server, string message, ElicitRequestParams.RequestSchema schema, CancellationToken cancellationToken)
    {
        ElicitResult result = await server.ElicitAsync(new ElicitRequestParams { Message = message, RequestedSchema = schema }, cancellationToken);
        return $"User response: action={result.Action}, content={JsonSerializer.Serialize(result.Content)}";
    }
}
