using System.ComponentModel;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace ConformanceServer;

[McpServerPromptType]
internal sealed class Prompts
{
    [McpServerPrompt(Name = "test_simple_prompt"), Description("Has no arguments.")]
    public static PromptMessage Simple() => Text("This is a simple prompt for testing.");

    [McpServerPrompt(Name = "test_prompt_with_arguments"), Description("Has two arguments.")]
    public static PromptMessage WithArguments([Description("The first.")] string arg1, [Description("The second.")] string arg2) =>
        Text($"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'");

    [McpServerPrompt(Name = "test_prompt_with_embedded_resource"), Description("Brings a resource.")]
    public static IEnumerable<PromptMessage> WithResource([Description("Which resource.")] string resourceUri) =>
    [
        new() { Role = Role.User, Content = new EmbeddedResourceBlock { Resource = new TextResourceContents { Uri = resourceUri, MimeType = "text/plain", Text = "Embedded resource content for testing." } } },
        Text("Please process the embedded resource above."),
    ];

    [McpServerPrompt(Name = "test_prompt_with_image"), Description("Brings an image.")]
    public static IEnumerable<PromptMessage> WithImage() =>
        [new() { Role = Role.User, Content = ImageContentBlock.FromBytes(Samples.Png, "image/png") }, Text("Please analyze the image above.")];

    [McpServerPrompt(Name = "test_input_required_result_prompt"), Description("Asks for a context first.")]
    public static PromptMessage NeedsInput(RequestContext<GetPromptRequestParams> request) => Text("Context: " + (Answers.Text(request.Params, "user_context", "context")
        ?? throw new InputRequiredException(new Dictionary<string, InputRequest> { ["user_context"] = Ask.Text("What context should the prompt use?", "context") })));

    private static PromptMessage Text(string text) => new() { Role = Role.User, Content = new TextContentBlock { Text = text } };
}
