using ModelContextProtocol.Protocol;

namespace ConformanceServer;

/// <summary>What a client can be asked for.</summary>
internal static class Ask
{
    public static InputRequest Roots { get; } = InputRequest.ForRootsList(new ListRootsRequestParams());

    public static InputRequest Text(string message, string member) => Form(message, member, new ElicitRequestParams.StringSchema());

    public static InputRequest Confirmation(string message) => Form(message, "ok", new ElicitRequestParams.BooleanSchema());

    public static InputRequest Model(string text, int tokens) => InputRequest.ForSampling(new CreateMessageRequestParams
    {
        Messages = [new SamplingMessage { Role = Role.User, Content = [new TextContentBlock { Text = text }] }], MaxTokens = tokens,
    });

    private static InputRequest Form(string message, string member, ElicitRequestParams.PrimitiveSchemaDefinition schema) => InputRequest.ForElicitation(new ElicitRequestParams
    {
        Message = message, RequestedSchema = new() { Properties = { [member] = schema }, Required = [member] },
    });
}
